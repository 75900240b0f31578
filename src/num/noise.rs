//! Noise for stochastic rounding. It depends on the seed, the step, the tensor's name and the element, and on nothing
//! else. Twin of `noise.wgsl`. The mixing uses the constants that Chris Wellons found for two rounds on 32 bits ("lowbias32").

use crate::num::crc32::crc32;

pub(crate) fn mixed(bits: u32) -> u32 {
    let mut x = bits;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// The seed of a tensor's noise: a multiple of 4, so that the quads of the tensor are those of the noise. `first` is the
/// number of its first element, if it is a part of a larger tensor.
pub(crate) fn stream_seed(seed: u32, tensor: &str, first: u64) -> u32 {
    (mixed(seed ^ mixed(crc32(tensor.as_bytes()))) & !3).wrapping_add(first as u32)
}

/// The 16 bits of noise of an element of a tensor at step `t`. Each quantity that is rounded has its own `stream`.
pub(crate) fn noise(element: u32, stream: u32, stream_seed: u32, t: u32) -> u32 {
    let random = mixed((element.wrapping_add(stream_seed) >> 2) ^ t.wrapping_mul(0x9e37_79b9));
    (random >> (5 * ((element + stream) & 3))) & 0xffff
}
