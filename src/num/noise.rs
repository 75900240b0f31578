//! Chance for stochastic rounding: a function of the seed, the step and the element, and of nothing else. Twin of
//! `noise.wgsl`; the mixing has the constants that Chris Wellons found for two rounds of 32 bits ("lowbias32").

pub(crate) fn mixed(bits: u32) -> u32 {
    let mut x = bits;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// For an element of the state, of which each of some numbers has its own; `t` is that of the step.
pub(crate) fn noise(element: u32, which: u32, stream_seed: u32, t: u32) -> u32 {
    mixed(element.wrapping_add(stream_seed) ^ mixed(t.wrapping_add(which.wrapping_mul(0x9e37_79b9))))
}
