//! Quads: the four elements that one load moves, and how neighbouring invocations share them. Twin of `quad.wgsl`.

/// Elements of a quad.
pub(crate) const LANES: u64 = 4;
/// Quads that neighbouring invocations load at once: a line of memory. The next line of these invocations follows it.
pub(crate) const LINE: u64 = 8;
/// Invocations in a workgroup: 256 is what every WebGPU device allows.
pub(crate) const WORKGROUP: u64 = 256;
