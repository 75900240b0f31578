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

#[inline(always)]
pub(crate) fn squarable(g: f32) -> f32 {
    let bits = g.to_bits();
    let overflows = (bits & 0x7fff_ffff).wrapping_sub(0x5f80_0000) < 0x2000_0000;
    if overflows { f32::from_bits((bits & 0x8000_0000) | 0x5f7f_ffff) } else { g }
}

#[inline(always)]
fn clipped(g: f32, limit: f32) -> f32 {
    let bound = if g < 0.0 { -limit } else { limit };
    if g.abs() > limit { bound } else { g }
}

#[inline(always)]
pub(crate) fn gradient<const CLIP_VALUE: bool>(s: &Scalars, grad: f32, param: f32) -> f32 {
    let mut g = s.grad_mul * grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    squarable(g + s.l2 * param)
}

/// Decay and step are added to each other first, so that only one rounding is at the parameter's magnitude.
#[inline(always)]
pub(crate) fn moved(s: &Scalars, param: f32, step: f32) -> f32 {
    param - (s.decay * param + step)
}
