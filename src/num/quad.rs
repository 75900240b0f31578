//! Quads: a quad is the four elements that one load moves. Twin of `quad.wgsl`.

/// Elements in a quad.
pub(crate) const LANES: u64 = 4;
/// Quads that neighbouring invocations load at once: a line of memory. Their next line follows it in memory.
pub(crate) const LINE: u64 = 8;
/// Invocations in a workgroup. Every WebGPU device allows 256.
pub(crate) const WORKGROUP: u64 = 256;

/// The bits of |x|.
#[inline(always)]
pub(crate) fn magnitude(x: f32) -> u32 {
    x.to_bits() & 0x7fff_ffff
}
