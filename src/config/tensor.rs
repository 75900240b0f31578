//! Tensors of the caller's buffers.

use wgpu::Buffer;

use crate::config::grads::Grads;
use crate::config::rows::{Rows, set_column_lr};
use crate::config::view::View;
use crate::error::Error;

/// A named parameter tensor: a view of its parameters, and where their gradients are.
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
    pub grad: Grads,
    /// The value of 1 in a gradient of [`Dtype::I32`](crate::Dtype::I32): finite and above 0. Must be 1 for other dtypes. Default: 1.
    pub grad_scale: f32,
    /// How its rows are stepped. Default: `None`, which means element by element.
    pub rows: Option<Rows>,
}

impl Tensor {
    /// Creates a tensor. `grad` is a view of gradients that all steps read, or [`Grads::EachStep`].
    pub fn new(name: impl Into<String>, param: View, grad: impl Into<Grads>) -> Self {
        Self { name: name.into(), param, grad: grad.into(), grad_scale: 1.0, rows: None }
    }

    /// Creates a tensor whose gradients are given before each step: see [`Adam::set_grads`](crate::Adam::set_grads). They have
    /// the number and the storage format of the parameters. [`new`](Self::new) with [`Grads::EachStep`] takes others.
    pub fn each_step(name: impl Into<String>, param: View) -> Self {
        let grad = Grads::EachStep { len: param.len, dtype: param.dtype };
        Self::new(name, param, grad)
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
