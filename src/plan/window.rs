//! Ranges of buffers to bind.

/// A range of a buffer to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}
