//! The storage of a tensor: its rule and all of its dtypes.

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Precision, Rounding, StateDtype};
use crate::config::rule::{Rule, StateKind};
use crate::error::Error;

/// The rule and all dtypes of a tensor: what a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Storage {
    pub rule: Rule,
    pub param: Dtype,
    pub grad: Dtype,
    pub state: StateDtype,
    pub master: Master,
    /// How the param is rounded if it has 16 bits and no master.
    pub rounding: Rounding,
    /// How the state is rounded if it is not f32.
    pub state_rounding: Rounding,
}

impl Storage {
    /// The storage of a tensor of `len` elements.
    ///
    /// # Errors
    /// [`Error::Storage`], with the tensor's name, if a tensor cannot be stored in this way.
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

    /// The state tensors: those of the rule, and the master or remainder of a 16-bit param.
    pub fn state_kinds(&self) -> impl Iterator<Item = StateKind> + use<> {
        let master = match self.master {
            Master::None => None,
            Master::F32 => Some(StateKind::Master),
            Master::Remainder => Some(StateKind::Remainder),
        };
        self.rule.state_kinds().chain(master)
    }

    /// The state tensors. In 8-bit blocks, the scales of each follow it.
    pub fn kinds_with_scales(&self) -> impl Iterator<Item = StateKind> + use<> {
        let in_blocks = self.in_blocks();
        self.state_kinds().flat_map(move |kind| [Some(kind), kind.scale().filter(|_| in_blocks)]).flatten()
    }

    /// The dtype of a state tensor.
    pub fn dtype(&self, kind: StateKind) -> Dtype {
        match (kind, self.state) {
            (StateKind::Remainder, _) => Dtype::I16,
            (StateKind::Master, _) => Dtype::F32,
            (kind, _) if kind.is_scale() => Dtype::F32,
            (_, StateDtype::F32) => Dtype::F32,
            (_, StateDtype::Bf16) => Dtype::Bf16,
            (_, StateDtype::Block8) => Dtype::U8,
        }
    }

    /// The same storage without stochastic rounding. Rounding does not matter to a kernel that stores nothing.
    pub fn to_nearest(self) -> Self {
        Self { rounding: Rounding::Nearest, state_rounding: Rounding::Nearest, ..self }
    }

    /// Whether the state is in 8-bit blocks.
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
    /// All valid storages: 160 for each rule with state.
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
        let precisions: Vec<Precision> = precisions.filter(|precision| precision.validate(None).is_ok()).collect();
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
