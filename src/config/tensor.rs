//! Views of the caller's buffers, and tensors made of them.

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
}

impl View {
    /// All of `buffer`, as 32-bit floats. (A buffer's size is a multiple of 4, or wgpu refuses to bind it.)
    pub fn f32(buffer: &Buffer) -> Self {
        Self::new(buffer, Dtype::F32)
    }

    /// All of `buffer`, in that dtype.
    pub fn new(buffer: &Buffer, dtype: Dtype) -> Self {
        Self { buffer: buffer.clone(), offset: 0, len: buffer.size() / dtype.bytes(), dtype }
    }

    /// `len` elements of this view, from its element `first` on.
    #[must_use]
    pub fn range(mut self, first: u64, len: u64) -> Self {
        self.offset = self.offset.saturating_add(first.saturating_mul(self.dtype.bytes()));
        self.len = len;
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

    /// Sets the value of 1 in an integer gradient.
    #[must_use]
    pub fn with_grad_scale(self, grad_scale: f32) -> Self {
        Self { grad_scale, ..self }
    }
}
