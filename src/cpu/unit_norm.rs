//! The norms of units, and clipping by them. Twin of `unit_norm.wgsl` and `unit_clip.wgsl`.

use crate::cpu::global_norm::{global_norm, together};
use crate::num::quad::WORKGROUP;
use crate::plan::units::Units;
use crate::tick::partial::{Partial, UnitNorm, reduce};
use crate::tick::scalars::normal_or_zero;

/// Adds up the partials of each unit, in the order of its workgroup.
pub(crate) fn unit_norms(units: &Units, partials: &[Partial]) -> Vec<UnitNorm> {
    let unit = |(own, max_norm): (&Vec<u32>, &f32)| {
        let invocation = |index: usize| {
            let own = own.iter().skip(index).step_by(WORKGROUP as usize);
            own.fold(Partial::ZERO, |sum, &i| sum.add(partials[i as usize]))
        };
        UnitNorm::new(reduce(&std::array::from_fn(invocation)), *max_norm)
    };
    units.partials.iter().zip(&units.max_norms).map(unit).collect()
}

/// The norm of a unit's unscaled gradients. Infinite or NaN if one of them is.
fn norm_of(unit: &UnitNorm, unscale: f32) -> f32 {
    if unit.big.is_finite() { global_norm(&unit.sums(), unscale) } else { unit.big }
}

fn coef_of(unit: &UnitNorm, norm: f32) -> f32 {
    let coef = unit.max_norm / (norm + 1e-6);
    if unit.big.is_finite() { normal_or_zero(coef.min(1.0)) } else { f32::NAN }
}

/// The coefficient that clips the gradients of a unit by its norm. 1 without units.
pub(crate) fn unit_coef(norms: &[UnitNorm], unit: u32, unscale: f32) -> f32 {
    norms.get(unit as usize).map_or(1.0, |norms| coef_of(norms, norm_of(norms, unscale)))
}

/// The norm of all gradients after they are clipped by the norms of their units.
pub(crate) fn clipped_norm(norms: &[UnitNorm], norm: f32, unscale: f32) -> f32 {
    if norms.is_empty() {
        return norm;
    }
    norms.iter().fold(0.0, |all, unit| {
        let norm = norm_of(unit, unscale);
        let coef = coef_of(unit, norm);
        together(all, if coef == 0.0 { 0.0 } else { norm * coef })
    })
}
