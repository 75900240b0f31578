//! The parts that rules share: the gradient that a rule gets, and averages. Twin of `gradient.wgsl`, which gives the
//! reasons.

use crate::tick::scalars::Scalars;

#[inline(always)]
pub(crate) fn average(old: f32, x: f32, rate: f32, from_target: u32) -> f32 {
    (if from_target != 0 { x } else { old }) + rate * (x - old)
}

#[inline(always)]
pub(crate) fn larger(old: f32, x: f32) -> f32 {
    if x > old { x } else { old }
}

const MOST: f32 = 18_374_686_479_671_623_680.0;

#[inline(always)]
pub(crate) fn squarable(g: f32) -> f32 {
    if g.is_finite() { g.clamp(-MOST, MOST) } else { g }
}

#[inline(always)]
pub(crate) fn within_bf16(sum: f32) -> f32 {
    let overflows = sum.to_bits().wrapping_sub(0x7f7f_0000) <= 0x1_0000;
    if overflows { f32::from_bits(0x7f7f_0000) } else { sum }
}

#[inline(always)]
pub(crate) fn divisor(s: &Scalars, v: f32) -> f32 {
    let root = v.sqrt() * s.v_coef;
    (if root == 0.0 { s.min_root } else { root }) + s.eps
}

#[inline(always)]
pub(crate) fn clipped(g: f32, limit: f32) -> f32 {
    let bound = if g < 0.0 { -limit } else { limit };
    if g.abs() > limit { bound } else { g }
}

#[inline(always)]
pub(crate) fn gradient<const LIMITS: bool>(s: &Scalars, grad: f32, param: f32) -> f32 {
    let mut g = s.grad_mul * grad;
    if LIMITS {
        g = clipped(g, s.limit);
    }
    squarable(g + s.l2 * param)
}

/// Cautious decay spares parameters that the step moves away from zero.
#[inline(always)]
pub(crate) fn decay_of<const LIMITS: bool>(s: &Scalars, param: f32, step: f32) -> f32 {
    let decay = s.decay * param;
    if LIMITS {
        let towards = (step > 0.0 && param > 0.0) || (step < 0.0 && param < 0.0);
        return if towards || s.cautious == 0 { decay } else { 0.0 };
    }
    decay
}

#[inline(always)]
pub(crate) fn limited<const LIMITS: bool>(s: &Scalars, next: f32) -> f32 {
    if LIMITS {
        let above = if next < s.param_min { s.param_min } else { next };
        return if above > s.param_max { s.param_max } else { above };
    }
    next
}

/// Decay and step are added to each other first, so that only one rounding is at the parameter's magnitude.
#[inline(always)]
pub(crate) fn moved<const LIMITS: bool>(s: &Scalars, param: f32, step: f32) -> f32 {
    limited::<LIMITS>(s, param - (decay_of::<LIMITS>(s, param, step) + step))
}
