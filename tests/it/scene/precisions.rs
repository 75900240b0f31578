//! All combinations of the dtypes of params, gradients and state.

use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::{Dtype, Precision};

pub const PARAMS: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];
pub const GRADS: [Dtype; 4] = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32];

/// How the moments are stored, and how narrow ones are rounded.
pub const STATES: [(StateDtype, Rounding); 5] = [
    (StateDtype::F32, Rounding::Nearest),
    (StateDtype::Bf16, Rounding::Nearest),
    (StateDtype::Bf16, Rounding::Stochastic),
    (StateDtype::Block8, Rounding::Nearest),
    (StateDtype::Block8, Rounding::Stochastic),
];

/// How a 16-bit param is rounded, and whether it has a master or a remainder.
pub const BESIDE: [(Rounding, Master); 4] = [
    (Rounding::Nearest, Master::None),
    (Rounding::Stochastic, Master::None),
    (Rounding::Nearest, Master::F32),
    (Rounding::Nearest, Master::Remainder),
];

/// A precision with narrow state for tensors of every length.
pub fn precision(
    (state, state_rounding): (StateDtype, Rounding),
    (param_rounding, master): (Rounding, Master),
) -> Precision {
    Precision { state, state_min_len: 0, state_rounding, param_rounding, master, seed: 7 }
}

/// A param must begin at a multiple of this number of elements in its buffer.
pub fn align(precision: &Precision) -> usize {
    if precision.state == StateDtype::Block8 { 4 } else { 1 }
}

/// Whether a param of that dtype supports this rounding and master, and whether they have an effect on it.
pub fn goes_with(param: Dtype, (rounding, master): (Rounding, Master)) -> bool {
    match param {
        Dtype::F32 => (rounding, master) == BESIDE[0],
        Dtype::F16 => master != Master::Remainder,
        _ => true,
    }
}

/// Every way to store a param and its state.
pub fn stored() -> impl Iterator<Item = (Dtype, Precision)> {
    PARAMS.into_iter().flat_map(|param| {
        let beside = BESIDE.into_iter().filter(move |beside| goes_with(param, *beside));
        beside.flat_map(move |beside| STATES.into_iter().map(move |state| (param, precision(state, beside))))
    })
}
