//! Tensors of the caller's buffers.

use wgpu::Buffer;

use crate::config::rows::{Rows, set_column_lr};
use crate::config::view::View;
use crate::error::Error;

/// A named parameter tensor: a view of its parameters and a view of their gradients.
///
/// A tensor has a length and no shape: the update is elementwise. [`with_rows`](Self::with_rows) makes it a tensor of rows.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name, unique in the optimizer. Reports, errors and saved states use it.
    pub name: String,
    /// The parameters, which the step updates in place.
    pub param: View,
    /// The gradients, as many as parameters. The step reads them, and zeroes them with
    /// [`Options::zero_grad`](crate::Options::zero_grad).
    pub grad: View,
    /// The value of 1 in a gradient of [`Dtype::I32`](crate::Dtype::I32): finite and above 0. Must be 1 for other dtypes. Default: 1.
    pub grad_scale: f32,
    /// How its rows are stepped. Default: `None`, which means element by element.
    pub rows: Option<Rows>,
}

impl Tensor {
    /// Creates a tensor.
    pub fn new(name: impl Into<String>, param: View, grad: View) -> Self {
        Self { name: name.into(), param, grad, grad_scale: 1.0, rows: None }
    }

    /// Creates a tensor of 32-bit floats that fills the buffer of its parameters and the buffer of its gradients.
    pub fn f32(name: impl Into<String>, param: &Buffer, grad: &Buffer) -> Self {
        Self::new(name, View::f32(param), View::f32(grad))
    }

    /// Sets [`grad_scale`](Self::grad_scale).
    #[must_use]
    pub fn with_grad_scale(self, grad_scale: f32) -> Self {
        Self { grad_scale, ..self }
    }

    /// Makes it a tensor of rows.
    #[must_use]
    pub fn with_rows(self, rows: Rows) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Sets the factors of the columns of a tensor of rows.
    pub(crate) fn set_column_lr(&mut self, column_lr: &[f64]) -> Result<(), Error> {
        set_column_lr(&self.name, self.rows.as_mut(), column_lr)
    }
}
