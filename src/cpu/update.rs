//! The step: each element's rule applied in place, with the scalars of `tick`. Twin of `step.wgsl` and
//! `update.wgsl`.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Moments;
use super::rules::{self, State};
use super::stored::Floats;
use crate::clock::Scalars;
use crate::variant::Rule;
use crate::{Clip, Options};

/// Elements that one task moves.
const CHUNK: usize = 32 * 1024;

#[inline(always)]
pub(super) fn average(old: f32, x: f32, rate: f32, from_target: u32) -> f32 {
    (if from_target != 0 { x } else { old }) + rate * (x - old)
}

#[inline(always)]
pub(super) fn larger(old: f32, x: f32) -> f32 {
    if x > old { x } else { old }
}

#[inline(always)]
fn squarable(g: f32) -> f32 {
    let bits = g.to_bits();
    let overflows = (bits & 0x7fff_ffff).wrapping_sub(0x5f80_0000) < 0x2000_0000;
    if overflows { f32::from_bits((bits & 0x8000_0000) | 0x5f7f_ffff) } else { g }
}

#[inline(always)]
fn clipped(g: f32, limit: f32) -> f32 {
    let bound = if g < 0.0 { -limit } else { limit };
    if g.abs() > limit { bound } else { g }
}

/// What the rule sees as the gradient.
#[inline(always)]
pub(super) fn gradient<const CLIP_VALUE: bool>(s: &Scalars, grad: f32, param: f32) -> f32 {
    let mut g = s.scale * grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    squarable(g + s.l2 * param)
}

/// Decay and step are summed before they touch param, so that there is one rounding at param's magnitude.
#[inline(always)]
pub(super) fn moved(s: &Scalars, param: f32, step: f32) -> f32 {
    param - (s.decay * param + step)
}

/// A part of a tensor: as much of each memory as of param, or nothing of those that the rule has not.
struct Part<'a> {
    group: usize,
    param: &'a mut [f32],
    grad: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    v_max: &'a mut [f32],
}

/// Elements that are computed together: as many as the widest register has, so that a block of each memory is one register,
/// or two or four where registers are narrower. (Of 64 elements and more, blocks are on the stack, and slower.)
const BLOCK: usize = 16;
type Block = [f32; BLOCK];

/// The next block of a memory, filled up with zeros behind its end.
#[inline(always)]
fn load(memory: &[f32], at: usize) -> Block {
    let rest = memory.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut block = [0.0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        block
    })
}

#[inline(always)]
fn store(memory: &mut [f32], at: usize, block: &Block) {
    let rest = memory.get_mut(at..).unwrap_or_default();
    match rest.first_chunk_mut() {
        Some(whole) => *whole = *block,
        None => rest.copy_from_slice(&block[..rest.len()]),
    }
}

#[inline(always)]
fn apply<const CLIP_VALUE: bool>(s: &Scalars, part: &mut Part, rule: impl Fn(&Scalars, State, f32) -> State) {
    for at in (0..part.param.len()).step_by(BLOCK) {
        let grad = load(part.grad, at);
        let (mut param, mut m) = (load(part.param, at), load(part.m, at));
        let (mut v, mut v_max) = (load(part.v, at), load(part.v_max, at));
        for i in 0..BLOCK {
            let old = State { param: param[i], m: m[i], v: v[i], v_max: v_max[i] };
            let after = rule(s, old, gradient::<CLIP_VALUE>(s, grad[i], old.param));
            (param[i], m[i], v[i], v_max[i]) = (after.param, after.m, after.v, after.v_max);
        }
        store(part.param, at, &param);
        store(part.m, at, &m);
        store(part.v, at, &v);
        store(part.v_max, at, &v_max);
    }
}

/// Compiled for several kinds of processors, of which the best is taken at run time. None of them fuses a multiplication
/// with an addition, so that all give the same bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2", "aarch64+neon",))]
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
    slots: &mut [Floats],
    moments: &mut [Moments],
) {
    let apply = if matches!(options.clip, Clip::Value(_)) { apply_rule::<true> } else { apply_rule::<false> };
    let mut parts = Vec::new();
    for ((slot, moments), &group) in slots.iter_mut().zip(moments).zip(groups) {
        let mut m = moments.m.chunks_mut(CHUNK);
        let mut v = moments.v.chunks_mut(CHUNK);
        let mut v_max = moments.v_max.chunks_mut(CHUNK);
        for (param, grad) in slot.param.chunks_mut(CHUNK).zip(slot.grad.chunks_mut(CHUNK)) {
            let [m, v, v_max] = [&mut m, &mut v, &mut v_max].map(|memory| memory.next().unwrap_or_default());
            parts.push(Part { group, param, grad, m, v, v_max });
        }
    }
    parts.into_par_iter().for_each(|mut part| {
        let s = &scalars[part.group];
        if s.do_step != 0 {
            apply(group_rules[part.group], s, &mut part);
        }
        if options.zero_grad {
            part.grad.fill(0.0);
        }
    });
}
