//! Tensors and groups of the CPU optimizer.

use crate::config::dtype::Format;
use crate::config::precision::Precision;
use crate::config::rule::Rule;
use crate::error::Error;
use crate::plan::storage::Kind;

/// A named tensor of the twin: its values are handed over at each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// A name that no other tensor of the optimizer has.
    pub name: String,
    /// Elements.
    pub len: usize,
    /// How its params are stored.
    pub param: Format,
    /// How its gradients are stored.
    pub grad: Format,
}

impl Tensor {
    /// A tensor of that name and length, all in f32.
    pub fn new(name: impl Into<String>, len: usize) -> Self {
        Self { name: name.into(), len, param: Format::F32, grad: Format::F32 }
    }

    pub(crate) fn kind(&self, rule: Rule, precision: &Precision) -> Result<Kind, Error> {
        Kind::new(&self.name, rule, self.param, self.grad, self.len as u64, precision)
    }

    /// This tensor in those formats.
    #[must_use]
    pub fn stored(self, param: Format, grad: Format) -> Self {
        Self { param, grad, ..self }
    }
}

/// Tensors of the twin that share one configuration.
pub type Group = crate::config::group::Group<Tensor>;
