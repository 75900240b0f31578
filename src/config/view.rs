//! Views of the caller's buffers.

use std::ops::{Bound, RangeBounds};

use wgpu::Buffer;

use crate::config::dtype::Dtype;

/// A range of elements in one of the caller's buffers.
///
/// Cloning a view clones the buffer's handle, not its contents.
///
/// ```no_run
/// # fn view(buffer: &wgpu::Buffer) {
/// use wgpu_adam::{Dtype, View};
/// let all = View::f32(buffer);
/// let weight = View::f32(buffer).slice(..4096);
/// let bias = View::f32(buffer).slice(4096..4160);
/// assert_eq!((bias.offset, bias.len, bias.dtype), (16384, 64, Dtype::F32));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The buffer. It needs [`BufferUsages::STORAGE`](wgpu::BufferUsages::STORAGE).
    pub buffer: Buffer,
    /// The offset of the first element in bytes: a multiple of the element's size.
    pub offset: u64,
    /// The number of elements: at least 1.
    pub len: u64,
    /// The storage format of the elements.
    pub dtype: Dtype,
    /// The first [`slice`](Self::slice) that did not fit, to be reported when an optimizer is made of the view.
    pub(crate) outside: Option<Outside>,
}

/// A range of elements that reaches outside the view it was to be a part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outside {
    pub start: u64,
    pub end: u64,
    pub len: u64,
}

impl View {
    /// Creates a view of a whole buffer of 32-bit floats.
    pub fn f32(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::F32)
    }

    /// Creates a view of a whole buffer of 16-bit IEEE floats.
    pub fn f16(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::F16)
    }

    /// Creates a view of a whole buffer of bfloat16 numbers.
    pub fn bf16(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::Bf16)
    }

    /// Creates a view of a whole buffer of 32-bit unsigned integers, for [rows](crate::rows).
    pub fn u32(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::U32)
    }

    /// Creates a view of a whole buffer. A partial element at the end is left out.
    pub fn new(buffer: &Buffer, dtype: Dtype) -> Self {
        Self { buffer: buffer.clone(), offset: 0, len: buffer.size() / dtype.bytes(), dtype, outside: None }
    }

    /// Narrows the view to a range of its elements, as [`Buffer::slice`] does with bytes.
    ///
    /// A range that does not lie within this view is an error when an optimizer is made with the result:
    /// [`Error::SliceOutOfBounds`](crate::Error::SliceOutOfBounds).
    #[must_use]
    pub fn slice(mut self, elements: impl RangeBounds<u64>) -> Self {
        let start = match elements.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match elements.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        };
        if start > end || end > self.len {
            self.outside = self.outside.or(Some(Outside { start, end, len: self.len }));
            return self;
        }
        self.offset = self.offset.saturating_add(start.saturating_mul(self.dtype.bytes()));
        self.len = end - start;
        self
    }
}
