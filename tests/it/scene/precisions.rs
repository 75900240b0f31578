//! The formats of params, gradients and what is remembered: all that can be combined.

use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::{Dtype, Precision};

pub const PARAMS: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];
pub const GRADS: [Dtype; 4] = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];

/// How the moments are stored, and rounded where they are narrow.
pub const STATES: [(StateDtype, Rounding); 5] = [
    (StateDtype::F32, Rounding::Nearest),
    (StateDtype::Bf16, Rounding::Nearest),
    (StateDtype::Bf16, Rounding::Stochastic),
    (StateDtype::Block8, Rounding::Nearest),
    (StateDtype::Block8, Rounding::Stochastic),
];

/// How a param of 16 bits is rounded, and what is beside it.
pub const BESIDE: [(Rounding, Master); 4] = [
    (Rounding::Nearest, Master::None),
    (Rounding::Stochastic, Master::None),
    (Rounding::Nearest, Master::F32),
    (Rounding::Nearest, Master::Remainder),
];

/// Narrow whatever the length of a tensor.
pub fn precision(
    (state, state_rounding): (StateDtype, Rounding),
    (param_rounding, master): (Rounding, Master),
) -> Precision {
    Precision { state, state_min_len: 0, state_rounding, param_rounding, master, seed: 7 }
}

/// Of how many elements a tensor's first one must be a multiple, in its buffer of params.
pub fn align(precision: &Precision) -> usize {
    if precision.state == StateDtype::Block8 { 4 } else { 1 }
}

/// Whether params of that format can have that beside them, and it is not the same as nothing.
pub fn goes_with(param: Dtype, (rounding, master): (Rounding, Master)) -> bool {
    match param {
        Dtype::F32 => (rounding, master) == BESIDE[0],
        Dtype::F16 => master != Master::Remainder,
        _ => true,
    }
}

/// Every way in which a param and what is remembered of it can be stored.
pub fn stored() -> impl Iterator<Item = (Dtype, Precision)> {
    PARAMS.into_iter().flat_map(|param| {
        let beside = BESIDE.into_iter().filter(move |beside| goes_with(param, *beside));
        beside.flat_map(move |beside| STATES.into_iter().map(move |state| (param, precision(state, beside))))
    })
}
