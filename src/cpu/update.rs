//! The step: each element's rule applied in place, with the scalars of `tick`. Twin of `update.wgsl`.

use rayon::prelude::*;

use super::rules::{self, State};
use super::{Moments, Slot};
use crate::clock::Scalars;
use crate::variant::Rule;
use crate::{Clip, Options};

/// Elements that one task moves.
const CHUNK: usize = 32 * 1024;

#[inline(always)]
pub(super) fn average(old: f32, x: f32, rate: f32, from_target: u32) -> f32 {
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

/// What the rule sees as the gradient.
#[inline(always)]
pub(super) fn gradient<const CLIP_VALUE: bool>(s: &Scalars, grad: f32, param: f32) -> f32 {
    let mut g = grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    squarable(s.scale * g + s.l2 * param)
}

/// Decay and step are summed before they touch param, so that there is one rounding at param's magnitude.
#[inline(always)]
pub(super) fn moved(s: &Scalars, param: f32, step: f32) -> f32 {
    param - (s.decay * param + step)
}

/// A part of a tensor: as much of each memory as of param, or nothing of those that the rule has not.
struct Part<'a> {
    param: &'a mut [f32],
    grad: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    v_max: &'a mut [f32],
}

#[inline(always)]
fn apply<const CLIP_VALUE: bool>(s: &Scalars, part: &mut Part, rule: impl Fn(&Scalars, State, f32) -> State) {
    let load = |memory: &[f32], i: usize| memory.get(i).copied().unwrap_or(0.0);
    let store = |memory: &mut [f32], i: usize, value: f32| {
        if let Some(element) = memory.get_mut(i) {
            *element = value;
        }
    };
    for (i, (param, grad)) in part.param.iter_mut().zip(part.grad.iter()).enumerate() {
        let old = State { param: *param, m: load(part.m, i), v: load(part.v, i), v_max: load(part.v_max, i) };
        let after = rule(s, old, gradient::<CLIP_VALUE>(s, *grad, *param));
        *param = after.param;
        store(part.m, i, after.m);
        store(part.v, i, after.v);
        store(part.v_max, i, after.v_max);
    }
}

fn apply_rule<const CLIP_VALUE: bool>(which: Rule, s: &Scalars, part: &mut Part) {
    match which {
        Rule::Adam => apply::<CLIP_VALUE>(s, part, rules::adam),
        Rule::AmsGrad => apply::<CLIP_VALUE>(s, part, rules::amsgrad),
        Rule::AdaMax => apply::<CLIP_VALUE>(s, part, rules::adamax),
        Rule::NAdam => apply::<CLIP_VALUE>(s, part, rules::nadam),
        Rule::AdaBelief => apply::<CLIP_VALUE>(s, part, rules::adabelief),
        Rule::Lion => apply::<CLIP_VALUE>(s, part, rules::lion),
        Rule::RmsProp => apply::<CLIP_VALUE>(s, part, rules::rmsprop),
        Rule::RmsPropMomentum => apply::<CLIP_VALUE>(s, part, rules::rmsprop_momentum),
        Rule::AdaGrad => apply::<CLIP_VALUE>(s, part, rules::adagrad),
        Rule::Momentum => apply::<CLIP_VALUE>(s, part, rules::momentum),
        Rule::Plain => apply::<CLIP_VALUE>(s, part, rules::plain),
    }
}

/// All tensors, each with its group's rule and scalars.
pub(super) fn update(
    options: &Options,
    groups: &[usize],
    group_rules: &[Rule],
    scalars: &[Scalars],
    slots: &mut [Slot],
    moments: &mut [Moments],
) {
    let apply = if matches!(options.clip, Clip::Value(_)) { apply_rule::<true> } else { apply_rule::<false> };
    let tensors = slots.par_iter_mut().zip(moments).zip(groups);
    tensors.for_each(|((slot, moments), &group)| {
        let (s, rule) = (&scalars[group], group_rules[group]);
        let chunks = slot.param.len().div_ceil(CHUNK);
        // As many chunks of what the rule has not, all empty.
        let some = |memory| chunks_of(memory, chunks);
        let memories = some(&mut moments.m).into_par_iter().zip(some(&mut moments.v)).zip(some(&mut moments.v_max));
        let slot = slot.param.par_chunks_mut(CHUNK).zip(slot.grad.par_chunks_mut(CHUNK));
        slot.zip(memories).for_each(|((param, grad), ((m, v), v_max))| {
            let mut part = Part { param, grad, m, v, v_max };
            if s.do_step != 0 {
                apply(rule, s, &mut part);
            }
            if options.zero_grad {
                part.grad.fill(0.0);
            }
        });
    });
}

fn chunks_of(memory: &mut [f32], chunks: usize) -> Vec<&mut [f32]> {
    let mut parts: Vec<&mut [f32]> = memory.chunks_mut(CHUNK).collect();
    parts.resize_with(chunks, Default::default);
    parts
}
