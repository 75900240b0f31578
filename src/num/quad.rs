//! Quads: a quad is the four elements that one load moves. Twin of `quad.wgsl`.

/// Elements in a quad.
pub(crate) const LANES: u64 = 4;
/// Quads that neighbouring invocations load at once: a line of memory. Their next line follows it in memory.
pub(crate) const LINE: u64 = 8;
/// Invocations in a workgroup. Every WebGPU device allows 256.
pub(crate) const WORKGROUP: u64 = 256;
