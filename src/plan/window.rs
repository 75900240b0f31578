//! Ranges of buffers to bind.

use wgpu::Buffer;

/// What a window is of. A window has the number of its place.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A buffer of the caller's.
    Buffer(Buffer),
    /// The gradients of a tensor, wherever they are at each step.
    Grads(usize),
}

/// A range of a buffer to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}
