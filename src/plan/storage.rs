//! The storage of a tensor: its rule and all of its dtypes.

use crate::config::dtype::Dtype;
use crate::config::precision::{Master, Precision, Rounding, StateDtype};
use crate::config::rows::{RowSteps, Rows, SecondMoment};
use crate::config::rule::{Rule, StateKind};
use crate::error::Error;
use crate::num::block8::BLOCK;
use crate::num::quad::LANES;

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
    /// The state of its rows, if it is a tensor of rows.
    pub rows: RowState,
}

/// What a tensor of rows keeps per row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowState {
    /// The second moment, as an f32.
    pub v: bool,
    /// The count of steps.
    pub steps: bool,
}

impl Storage {
    /// The storage of a tensor of `len` elements, which may be a tensor of rows.
    ///
    /// # Errors
    /// [`Error::Storage`], with the tensor's name, if a tensor cannot be stored in this way.
    pub fn new(
        tensor: &str,
        rule: Rule,
        (param, grad): (Dtype, Dtype),
        grad_scale: f32,
        len: u64,
        precision: &Precision,
        rows: Option<&Rows<()>>,
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
        let rows_state = rows.map_or_else(RowState::default, |rows| RowState {
            v: rows.second_moment != SecondMoment::Elementwise,
            steps: rows.steps == RowSteps::PerRow,
        });
        // Rows of one or two elements would not be smaller in a narrow format, whose rows have whole quads.
        let wide = rows.is_none_or(|rows| rows.width > 2);
        let narrows = rule.state_kinds().any(|kind| kind != StateKind::V || !rows_state.v);
        let state = match rows {
            _ if !(narrows && wide) => StateDtype::F32,
            // The format stays the same as rows are added.
            Some(_) => precision.state,
            None => precision.state_of(len),
        };
        let state_rounding = if state == StateDtype::F32 { Rounding::Nearest } else { precision.state_rounding };
        Ok(Self { rule, param, grad, state, master, rounding, state_rounding, rows: rows_state })
    }

    /// The state tensors: those of the rule, the master or remainder of a 16-bit param, and the steps of rows.
    pub fn state_kinds(&self) -> impl Iterator<Item = StateKind> + use<> {
        let master = match self.master {
            Master::None => None,
            Master::F32 => Some(StateKind::Master),
            Master::Remainder => Some(StateKind::Remainder),
        };
        self.rule.state_kinds().chain(master).chain(self.rows.steps.then_some(StateKind::RowSteps))
    }

    /// The state tensors. In 8-bit blocks, the scales of each follow it.
    pub fn kinds_with_scales(&self) -> impl Iterator<Item = StateKind> + use<> {
        let storage = *self;
        self.state_kinds().flat_map(move |kind| [Some(kind), storage.scale(kind)]).flatten()
    }

    /// The scales of a state tensor, if it is in blocks.
    pub fn scale(&self, kind: StateKind) -> Option<StateKind> {
        kind.scale().filter(|_| self.in_blocks() && !self.is_per_row(kind))
    }

    /// The number of elements of a state tensor of a tensor of `len` elements, which may have rows of `width`.
    pub fn count(&self, kind: StateKind, len: u64, width: Option<u32>) -> u64 {
        let row = width.map_or(len, u64::from).max(1);
        match kind {
            kind if self.is_per_row(kind) => len / row,
            kind if kind.is_scale() => len / row * row.div_ceil(BLOCK),
            _ => len,
        }
    }

    /// Whether a state tensor has one element per row.
    pub fn is_per_row(&self, kind: StateKind) -> bool {
        kind == StateKind::RowSteps || kind == StateKind::V && self.rows.v
    }

    /// Whether the quads of a row share a part of the state.
    pub fn shares_in_rows(&self) -> bool {
        self.rows.v || self.rows.steps || self.in_blocks()
    }

    /// The elements from a row of this width to the next in the state tensors of its elements.
    pub fn row_stride(&self, width: u32) -> u32 {
        if self.by_elements() { width } else { width.next_multiple_of(LANES as u32) }
    }

    /// Whether the state of a row whose last quad is partial has no padding. Narrow formats need whole quads.
    pub fn by_elements(&self) -> bool {
        self.state == StateDtype::F32 && self.master == Master::None
    }

    /// The dtype of a state tensor.
    pub fn dtype(&self, kind: StateKind) -> Dtype {
        match (kind, self.state) {
            (StateKind::RowSteps, _) => Dtype::U32,
            (kind, _) if self.is_per_row(kind) => Dtype::F32,
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
                all.extend(Self::new("x", *rule, (param, grad), 1.0, 1, precision, None).ok());
            }
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }
}
