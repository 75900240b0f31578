//! Tensors and groups of the CPU optimizer.

use crate::config::dtype::Dtype;
use crate::config::precision::Precision;
use crate::config::rows::Rows;
use crate::config::rule::Rule;
use crate::config::variant::Variant;
use crate::error::Error;
use crate::plan::rows::RowsPlan;
use crate::plan::storage::Storage;

/// A named tensor of a CPU optimizer. [`TensorMut`](crate::cpu::TensorMut) hands its values to a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name, unique in the optimizer.
    pub name: String,
    /// The number of elements: at least 1.
    pub len: usize,
    /// The dtype of the parameters: f32, f16 or bf16. Default: f32.
    pub param: Dtype,
    /// The dtype of the gradients: f32, f16, bf16 or i32. Default: f32.
    pub grad: Dtype,
    /// The value of 1 in a gradient of [`Dtype::I32`]: finite and above 0. Must be 1 for other dtypes. Default: 1.
    pub grad_scale: f32,
    /// How its rows are stepped. Default: `None`, which means element by element.
    pub rows: Option<Rows<()>>,
    /// The number of its first element, if the tensor is a part of a larger one: see [`crate::Tensor::first`]. Default: 0.
    pub first: u64,
}

impl Tensor {
    /// Creates a tensor with parameters and gradients in f32.
    pub fn new(name: impl Into<String>, len: usize) -> Self {
        Self { name: name.into(), len, param: Dtype::F32, grad: Dtype::F32, grad_scale: 1.0, rows: None, first: 0 }
    }

    pub(crate) fn storage(&self, rule: Rule, precision: &Precision) -> Result<Storage, Error> {
        let dtypes = (self.param, self.grad);
        Storage::new(&self.name, rule, dtypes, self.grad_scale, self.len as u64, precision, self.rows.as_ref())
    }

    /// Sets the dtypes of parameters and gradients.
    #[must_use]
    pub fn with_dtypes(self, param: Dtype, grad: Dtype) -> Self {
        Self { param, grad, ..self }
    }

    /// Sets [`first`](Self::first).
    #[must_use]
    pub fn with_first(self, first: u64) -> Self {
        Self { first, ..self }
    }

    /// Makes it a tensor of rows.
    #[must_use]
    pub fn with_rows(self, rows: Rows<()>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The rows as the planner sees them. The gradients of each step may have another length.
    pub(crate) fn rows_plan(&self, variant: &Variant) -> Result<Option<RowsPlan>, Error> {
        let Some(rows) = &self.rows else { return Ok(None) };
        let len = self.len as u64;
        let wrong = |reason| Error::Rows { tensor: self.name.clone(), reason };
        rows.check(variant, len, len).map_err(wrong)?;
        let (kind, width) = (rows.kind(), rows.width);
        Ok(Some(RowsPlan { kind, width, grad_len: len, row_lr: None, active: None, count: None, inverse: None }))
    }

    /// Sets [`grad_scale`](Self::grad_scale).
    #[must_use]
    pub fn with_grad_scale(self, grad_scale: f32) -> Self {
        Self { grad_scale, ..self }
    }
}

/// Tensors of a CPU optimizer that share one configuration: [`crate::Group`] with CPU tensors.
pub type Group = crate::config::group::Group<Tensor>;
