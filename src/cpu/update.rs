//! The step: Adam in place, with the scalars of `tick`. Twin of `update.wgsl`.

use rayon::prelude::*;

use super::Slot;
use crate::clock::Scalars;
use crate::state::Moments;
use crate::{Clip, Options};

/// Elements that one task moves.
const CHUNK: usize = 32 * 1024;

fn average(old: f32, x: f32, rate: f32, from_target: u32) -> f32 {
    (if from_target != 0 { x } else { old }) + rate * (x - old)
}

fn squarable(g: f32) -> f32 {
    let bits = g.to_bits();
    let overflows = (bits & 0x7fff_ffff).wrapping_sub(0x5f80_0000) < 0x2000_0000;
    if overflows { f32::from_bits((bits & 0x8000_0000) | 0x5f7f_ffff) } else { g }
}

fn clipped(g: f32, limit: f32) -> f32 {
    let bound = if g < 0.0 { -limit } else { limit };
    if g.abs() > limit { bound } else { g }
}

/// One element: param, m and v after the step.
#[inline(always)]
fn adam<const CLIP_VALUE: bool>(s: &Scalars, param: f32, grad: f32, old_m: f32, old_v: f32) -> (f32, f32, f32) {
    let mut g = grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    g = squarable(s.scale * g + s.l2 * param);
    let m = average(old_m, g, s.m_rate, s.m_from_target);
    let v = average(old_v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m) / (v.sqrt() * s.v_coef + s.eps);
    (param - (s.decay * param + step), m, v)
}

fn apply<const CLIP_VALUE: bool>(s: &Scalars, param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
    for (((param, grad), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
        (*param, *m, *v) = adam::<CLIP_VALUE>(s, *param, *grad, *m, *v);
    }
}

/// All tensors, each with its group's scalars.
pub(super) fn update(
    options: &Options,
    groups: &[usize],
    scalars: &[Scalars],
    slots: &mut [Slot],
    moments: &mut [Moments],
) {
    let apply = if matches!(options.clip, Clip::Value(_)) { apply::<true> } else { apply::<false> };
    let tensors = slots.par_iter_mut().zip(moments).zip(groups);
    tensors.for_each(|((slot, moments), &group)| {
        let s = &scalars[group];
        let param = slot.param.par_chunks_mut(CHUNK).zip(slot.grad.par_chunks_mut(CHUNK));
        let moments = moments.m.par_chunks_mut(CHUNK).zip(moments.v.par_chunks_mut(CHUNK));
        param.zip(moments).for_each(|((param, grad), (m, v))| {
            if s.do_step != 0 {
                apply(s, param, grad, m, v);
            }
            if options.zero_grad {
                grad.fill(0.0);
            }
        });
    });
}
