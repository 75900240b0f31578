//! Each element's rule applied in place, with the scalars of `tick`. Twin of `update.wgsl`.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Moments;
use super::rules::{self, State};
use super::step::gradient;
use super::stored::Floats;
use crate::clock::Scalars;
use crate::variant::Rule;
use crate::{Clip, Options};

/// Elements that one task moves.
const CHUNK: usize = 32 * 1024;

/// A part of a tensor: as much of each memory as of param, or nothing of those that the rule has not.
struct Part<'a> {
    group: usize,
    param: &'a mut [f32],
    grad: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    v_max: &'a mut [f32],
}

/// Elements that are computed together: two of the widest registers of each memory, so that one is computed while the other
/// divides. See `benches/NOTES.md`.
const BLOCK: usize = 32;
type Block = [f32; BLOCK];

/// One block of each, in place.
#[inline(always)]
fn block<const CLIP_VALUE: bool>(
    s: &Scalars,
    rule: impl Fn(&Scalars, State, f32) -> State,
    grad: &Block,
    [param, m, v, v_max]: [&mut Block; 4],
) {
    let mut after = [[0.0; BLOCK]; 4];
    for i in 0..BLOCK {
        let old = State { param: param[i], m: m[i], v: v[i], v_max: v_max[i] };
        let new = rule(s, old, gradient::<CLIP_VALUE>(s, grad[i], old.param));
        (after[0][i], after[1][i], after[2][i], after[3][i]) = (new.param, new.m, new.v, new.v_max);
    }
    [*param, *m, *v, *v_max] = after;
}

/// The blocks of a memory and what is left behind them, or one block to spare where the rule has no such memory.
#[inline(always)]
fn blocks<'a>(memory: &'a mut [f32], spare: &'a mut [Block; 1]) -> (&'a mut [Block], &'a mut [f32]) {
    if memory.is_empty() { (spare, &mut []) } else { memory.as_chunks_mut() }
}

/// The one with that number: the spare one is all of them.
#[inline(always)]
fn at(blocks: &mut [Block], i: usize) -> &mut Block {
    let last = blocks.len() - 1;
    &mut blocks[i.min(last)]
}

#[inline(always)]
fn apply<const CLIP_VALUE: bool>(s: &Scalars, part: &mut Part, rule: impl Fn(&Scalars, State, f32) -> State + Copy) {
    let mut spare = [[[0.0; BLOCK]; 1]; 3];
    let [no_m, no_v, no_v_max] = &mut spare;
    let (grads, grad_end) = part.grad.as_chunks();
    let (params, param_end) = part.param.as_chunks_mut();
    let (m, m_end) = blocks(part.m, no_m);
    let (v, v_end) = blocks(part.v, no_v);
    let (v_max, v_max_end) = blocks(part.v_max, no_v_max);
    for (i, (param, grad)) in params.iter_mut().zip(grads).enumerate() {
        block::<CLIP_VALUE>(s, rule, grad, [param, at(m, i), at(v, i), at(v_max, i)]);
    }
    // What is left, filled up with zeros.
    let mut ends = [param_end, m_end, v_end, v_max_end];
    let whole = |end: &[f32]| std::array::from_fn(|i| end.get(i).copied().unwrap_or(0.0));
    let mut last: [Block; 4] = ends.each_ref().map(|end| whole(end));
    block::<CLIP_VALUE>(s, rule, &whole(grad_end), last.each_mut());
    for (end, last) in ends.iter_mut().zip(&last) {
        end.copy_from_slice(&last[..end.len()]);
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
