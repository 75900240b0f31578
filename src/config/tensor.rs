//! Views of the caller's buffers, and tensors made of them.

use std::ops::{Bound, RangeBounds};

use wgpu::Buffer;

use crate::config::dtype::Dtype;

/// A range of one of the caller's buffers. Cloning it clones wgpu's handle, not the data.
#[derive(Clone, Debug)]
pub struct View {
    /// The buffer, with usage `STORAGE`.
    pub buffer: Buffer,
    /// Where the range begins, in bytes: a multiple of the element's size.
    pub offset: u64,
    /// Length in elements.
    pub len: u64,
    /// How the elements are stored.
    pub dtype: Dtype,
    /// The first [`slice`](Self::slice) that did not fit, to be reported when an optimizer is made of the view.
    pub(crate) outside: Option<Outside>,
}

/// A range of elements that reaches outside the view it was to be a part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside {
    pub start: u64,
    pub end: u64,
    pub len: u64,
}

impl View {
    /// All of `buffer`, as 32-bit floats.
    pub fn f32(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::F32)
    }

    /// All of `buffer`, as 16-bit IEEE floats.
    pub fn f16(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::F16)
    }

    /// All of `buffer`, as bfloat16.
    pub fn bf16(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::Bf16)
    }

    /// All of `buffer`, in that dtype.
    pub fn new(buffer: &Buffer, dtype: Dtype) -> Self {
        Self { buffer: buffer.clone(), offset: 0, len: buffer.size() / dtype.bytes(), dtype, outside: None }
    }

    /// Part of this view: a range of its elements.
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

/// A named parameter tensor: where its values are and where the caller's backward pass leaves their gradients.
/// Its shape does not matter to Adam, only its number of elements.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// A name that no other tensor of the optimizer has: in reports, errors and saved states.
    pub name: String,
    /// The values that the step changes.
    pub param: View,
    /// The gradients that the step reads (and zeroes, by option); as long as `param`.
    pub grad: View,
    /// The value of 1 in an integer gradient ([`Dtype::I32`]): finite and above 0. 1 by default, and for all other dtypes.
    pub grad_scale: f32,
}

impl Tensor {
    /// A tensor of that name, with those views.
    pub fn new(name: impl Into<String>, param: View, grad: View) -> Self {
        Self { name: name.into(), param, grad, grad_scale: 1.0 }
    }

    /// A tensor of 32-bit floats that fills a buffer of parameters and a buffer of gradients.
    pub fn f32(name: impl Into<String>, param: &Buffer, grad: &Buffer) -> Self {
        Self::new(name, View::f32(param), View::f32(grad))
    }

    /// Sets the value of 1 in an integer gradient.
    #[must_use]
    pub fn with_grad_scale(self, grad_scale: f32) -> Self {
        Self { grad_scale, ..self }
    }
}
