//! Tensors and groups of the CPU optimizer.

use crate::config::dtype::Dtype;
use crate::config::precision::Precision;
use crate::config::rule::Rule;
use crate::error::Error;
use crate::plan::storage::Storage;

/// A named tensor of the twin: its values are handed over at each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// A name that no other tensor of the optimizer has.
    pub name: String,
    /// Elements.
    pub len: usize,
    /// How its params are stored.
    pub param: Dtype,
    /// How its gradients are stored.
    pub grad: Dtype,
    /// The value of 1 in an integer gradient ([`Dtype::I32`]): finite and above 0. 1 by default, and for all other dtypes.
    pub grad_scale: f32,
}

impl Tensor {
    /// A tensor of that name and length, all in f32.
    pub fn new(name: impl Into<String>, len: usize) -> Self {
        Self { name: name.into(), len, param: Dtype::F32, grad: Dtype::F32, grad_scale: 1.0 }
    }

    pub(crate) fn storage(&self, rule: Rule, precision: &Precision) -> Result<Storage, Error> {
        Storage::new(&self.name, rule, self.param, self.grad, self.grad_scale, self.len as u64, precision)
    }

    /// This tensor in those formats.
    #[must_use]
    pub fn with_dtypes(self, param: Dtype, grad: Dtype) -> Self {
        Self { param, grad, ..self }
    }

    /// Sets the value of 1 in an integer gradient.
    #[must_use]
    pub fn with_grad_scale(self, grad_scale: f32) -> Self {
        Self { grad_scale, ..self }
    }
}

/// Tensors of the twin that share one configuration.
pub type Group = crate::config::group::Group<Tensor>;
