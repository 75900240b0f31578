//! What one kernel can do with a tensor: the rule, and how all is stored.

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Precision, Rounding, StateDtype};
use crate::config::rule::{Rule, StateKind};
use crate::error::Error;
use crate::num::block8::BLOCK;

/// What one kernel can do: the rule, and how all is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Storage {
    pub rule: Rule,
    pub param: Dtype,
    pub grad: Dtype,
    pub state: StateDtype,
    pub master: Master,
    /// Of the param, where it has 16 bits and no master.
    pub rounding: Rounding,
    /// Of the state, where it is not f32.
    pub state_rounding: Rounding,
}

impl Storage {
    /// How a tensor of so many elements is stored, if that can be.
    ///
    /// # Errors
    /// [`Error::Storage`], with the tensor's name.
    pub fn new(
        tensor: &str,
        rule: Rule,
        param: Dtype,
        grad: Dtype,
        grad_scale: f32,
        len: u64,
        precision: &Precision,
    ) -> Result<Self, Error> {
        let refused = |reason| Err(Error::Storage { tensor: tensor.to_owned(), reason });
        if !matches!(param, Dtype::F32 | Dtype::F16 | Dtype::Bf16) {
            return refused("param must be F32, F16 or Bf16");
        }
        if !matches!(grad, Dtype::F32 | Dtype::F16 | Dtype::Bf16 | Dtype::I32) {
            return refused("grad must be F32, F16, Bf16 or I32");
        }
        if !(grad_scale > 0.0 && grad_scale.is_finite()) {
            return refused("grad_scale must be finite and above 0");
        }
        if grad != Dtype::I32 && grad_scale != 1.0 {
            return refused("grad_scale must be 1 unless grad is I32");
        }
        let master = if param.is_half() { precision.master } else { Master::None };
        if master == Master::Remainder && param != Dtype::Bf16 {
            return refused("Master::Remainder needs bf16 parameters; use Master::F32 for f16");
        }
        let rounding = if param.is_half() { precision.param_rounding } else { Rounding::Nearest };
        let state = if rule.state().is_empty() { StateDtype::F32 } else { precision.state_of(len) };
        let state_rounding = if state == StateDtype::F32 { Rounding::Nearest } else { precision.state_rounding };
        Ok(Self { rule, param, grad, state, master, rounding, state_rounding })
    }

    /// What is remembered: what the rule does, and what a param of 16 bits may have beside it.
    pub fn state_kinds(&self) -> impl Iterator<Item = StateKind> + use<> {
        let beside = match self.master {
            Master::None => None,
            Master::F32 => Some(StateKind::Master),
            Master::Remainder => Some(StateKind::Remainder),
        };
        self.rule.state_kinds().chain(beside)
    }

    /// That with the scales of its blocks, each behind its codes.
    pub fn parts(&self) -> impl Iterator<Item = StateKind> + use<> {
        let in_blocks = self.in_blocks();
        self.state_kinds().flat_map(move |kind| [Some(kind), kind.scale().filter(|_| in_blocks)]).flatten()
    }

    /// How that is stored.
    pub fn dtype(&self, kind: StateKind) -> Dtype {
        match (kind, self.state) {
            (StateKind::Remainder, _) => Dtype::I16,
            (StateKind::Master | StateKind::MScale | StateKind::VScale | StateKind::VMaxScale, _) => Dtype::F32,
            (_, StateDtype::F32) => Dtype::F32,
            (_, StateDtype::Bf16) => Dtype::Bf16,
            (_, StateDtype::Block8) => Dtype::U8,
        }
    }

    /// How many of these a tensor of that length has.
    pub fn count(kind: StateKind, len: u64) -> u64 {
        if kind.is_scale() { len.div_ceil(BLOCK) } else { len }
    }

    /// The same without stochastic rounding: what matters to a kernel that stores nothing.
    pub fn to_nearest(self) -> Self {
        Self { rounding: Rounding::Nearest, state_rounding: Rounding::Nearest, ..self }
    }

    /// Whether the state is in blocks with scales of their own.
    pub fn in_blocks(&self) -> bool {
        self.state == StateDtype::Block8
    }

    /// Whether anything is not f32.
    pub fn is_narrow(&self) -> bool {
        (self.param, self.grad, self.state) != (Dtype::F32, Dtype::F32, StateDtype::F32)
    }
}

#[cfg(test)]
impl Storage {
    /// All that can be: 160 for each rule that remembers something.
    pub fn all() -> impl Iterator<Item = Self> {
        let params = [Dtype::F32, Dtype::F16, Dtype::Bf16];
        let grads = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];
        let roundings = [Rounding::Nearest, Rounding::Stochastic];
        let precisions = [StateDtype::F32, StateDtype::Bf16, StateDtype::Block8].into_iter().flat_map(move |state| {
            roundings.into_iter().flat_map(move |param_rounding| {
                roundings.into_iter().flat_map(move |state_rounding| {
                    [Master::None, Master::F32, Master::Remainder].map(|master| Precision {
                        state,
                        state_min_len: 0,
                        state_rounding,
                        param_rounding,
                        master,
                        seed: 0,
                    })
                })
            })
        });
        let precisions: Vec<Precision> = precisions.filter(|precision| precision.validate().is_ok()).collect();
        let mut all = Vec::new();
        for (rule, param) in Rule::ALL.iter().flat_map(|rule| params.map(|param| (rule, param))) {
            for (grad, precision) in grads.into_iter().flat_map(|grad| precisions.iter().map(move |p| (grad, p))) {
                all.extend(Self::new("x", *rule, param, grad, 1.0, 1, precision).ok());
            }
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }
}
