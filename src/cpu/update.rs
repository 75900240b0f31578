//! Each element's rule applied in place, with the scalars of `tick`. Twin of `update.wgsl`.

use multiversion::{multiversion, target::match_target};
use rayon::prelude::*;

use crate::config::options::Options;
use crate::config::rule::Rule;
use crate::cpu::gradient::{gradient, moved};
use crate::cpu::moments::Moments;
use crate::cpu::rules;
use crate::cpu::rules::State;
use crate::cpu::storage::Floats;
use crate::tick::scalars::Scalars;

/// Elements that one task moves: some tasks for each thread, so that who is done early takes over others', each of whole
/// pages, and so of whole blocks. The least and the most are measured, see `benches/NOTES.md`.
fn elements_a_task(elements: usize) -> usize {
    (elements / (4 * rayon::current_num_threads())).next_multiple_of(1024).clamp(32 * 1024, 256 * 1024)
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

/// Elements that are computed together: four registers of each memory, so that some are computed while others divide and
/// all are loaded in long runs. See `benches/NOTES.md`.
type Block<const N: usize> = [f32; N];

/// One block of each, in place.
#[inline(always)]
fn block<const N: usize>(
    s: &Scalars,
    rule: impl Fn(&Scalars, &mut State, f32) -> f32,
    grad: &Block<N>,
    [param, m, v, v_max]: [&mut Block<N>; 4],
) {
    let mut after = [[0.0; N]; 4];
    for i in 0..N {
        let mut state = State { m: m[i], v: v[i], v_max: v_max[i] };
        let step = rule(s, &mut state, gradient(s, grad[i], param[i]));
        (after[0][i], after[1][i], after[2][i], after[3][i]) =
            (moved(s, param[i], step), state.m, state.v, state.v_max);
    }
    [*param, *m, *v, *v_max] = after;
}

/// The blocks of a memory and what is left behind them, or one block to spare where the rule has no such memory.
#[inline(always)]
fn blocks<'a: 'b, 'b, const N: usize>(
    memory: &'a mut [f32],
    spare: &'b mut [Block<N>; 1],
) -> (&'b mut [Block<N>], &'a mut [f32]) {
    if memory.is_empty() { (spare, &mut []) } else { memory.as_chunks_mut() }
}

/// The one with that number: the spare one is all of them.
#[inline(always)]
fn at<const N: usize>(blocks: &mut [Block<N>], i: usize) -> &mut Block<N> {
    let last = blocks.len() - 1;
    &mut blocks[i.min(last)]
}

/// The whole blocks of a gradient and its state. Returns what is left behind them.
#[inline(always)]
fn whole_blocks<'a, const N: usize>(
    s: &Scalars,
    rule: impl Fn(&Scalars, &mut State, f32) -> f32 + Copy,
    grad: &'a [f32],
    [param, m, v, v_max]: [&'a mut [f32]; 4],
) -> (&'a [f32], [&'a mut [f32]; 4]) {
    let mut spare = [[[0.0; N]; 1]; 3];
    let [no_m, no_v, no_v_max] = &mut spare;
    let (grads, grad_end) = grad.as_chunks();
    let (params, param_end) = param.as_chunks_mut();
    let (m, m_end) = blocks(m, no_m);
    let (v, v_end) = blocks(v, no_v);
    let (v_max, v_max_end) = blocks(v_max, no_v_max);
    for (i, (param, grad)) in params.iter_mut().zip(grads).enumerate() {
        block::<N>(s, rule, grad, [param, at(m, i), at(v, i), at(v_max, i)]);
    }
    (grad_end, [param_end, m_end, v_end, v_max_end])
}

/// In blocks of `N`, what is left in blocks of 8, and the last few one by one.
#[inline(always)]
fn apply<const N: usize>(s: &Scalars, part: &mut Part, rule: impl Fn(&Scalars, &mut State, f32) -> f32 + Copy) {
    let (grad, state) = whole_blocks::<N>(s, rule, part.grad, [part.param, part.m, part.v, part.v_max]);
    let (grad, state) = whole_blocks::<8>(s, rule, grad, state);
    whole_blocks::<1>(s, rule, grad, state);
}

/// The rule's own loop, in blocks of `N`.
#[inline(always)]
fn by_rule<const N: usize>(which: Rule, s: &Scalars, part: &mut Part) {
    match which {
        Rule::Adam => apply::<N>(s, part, rules::adam),
        Rule::AmsGrad => apply::<N>(s, part, rules::amsgrad),
        Rule::AdaMax => apply::<N>(s, part, rules::adamax),
        Rule::NAdam => apply::<N>(s, part, rules::nadam),
        Rule::AdaBelief => apply::<N>(s, part, rules::adabelief),
        Rule::Lion => apply::<N>(s, part, rules::lion),
        Rule::RmsProp => apply::<N>(s, part, rules::rmsprop),
        Rule::RmsPropMomentum => apply::<N>(s, part, rules::rmsprop_momentum),
        Rule::AdaGrad => apply::<N>(s, part, rules::adagrad),
        Rule::Momentum => apply::<N>(s, part, rules::momentum),
        Rule::Sgd => apply::<N>(s, part, rules::sgd),
    }
}

/// Compiled for several kinds of processors, of which the best is taken at run time. None of them fuses a multiplication
/// with an addition, so that all give the same bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2", "aarch64+neon",))]
fn apply_rule(which: Rule, s: &Scalars, part: &mut Part) {
    match_target! {
        "x86_64+avx512f" => by_rule::<64>(which, s, part),
        "x86_64+avx2" => by_rule::<32>(which, s, part),
        _ => by_rule::<16>(which, s, part),
    }
}

/// All tensors, each with its group's rule and scalars.
pub(crate) fn update(
    options: &Options,
    groups: &[usize],
    group_rules: &[Rule],
    scalars: &[Scalars],
    slots: &mut [Floats],
    moments: &mut [Moments],
) {
    let task = elements_a_task(slots.iter().map(|slot| slot.param.len()).sum());
    let mut parts = Vec::new();
    for ((slot, moments), &group) in slots.iter_mut().zip(moments).zip(groups) {
        let mut m = moments.m.chunks_mut(task);
        let mut v = moments.v.chunks_mut(task);
        let mut v_max = moments.v_max.chunks_mut(task);
        for (param, grad) in slot.param.chunks_mut(task).zip(slot.grad.chunks_mut(task)) {
            let [m, v, v_max] = [&mut m, &mut v, &mut v_max].map(|memory| memory.next().unwrap_or_default());
            parts.push(Part { group, param, grad, m, v, v_max });
        }
    }
    parts.into_par_iter().for_each(|mut part| {
        let s = &scalars[part.group];
        if s.do_step != 0 {
            apply_rule(group_rules[part.group], s, &mut part);
        }
        if options.zero_grad {
            part.grad.fill(0.0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(first: usize, len: usize) -> Vec<f32> {
        (first..first + len).map(|i| (i * 977 % 1021) as f32 - 400.0).collect()
    }

    /// Param, m, v and v_max after one step in blocks of `N` and what is left of them. The rule has the first `kept` moments.
    fn stepped<const N: usize>(rule: Rule, kept: usize, len: usize) -> [Vec<f32>; 4] {
        let mut grad = numbers(0, len);
        let [mut param, mut m, mut v, mut v_max] =
            [0, 1, 2, 3].map(|i| if i <= kept { numbers(i + 1, len) } else { Vec::new() });
        v.iter_mut().for_each(|v| *v *= *v);
        let scalars = Scalars {
            grad_mul: 1.0,
            limit: f32::INFINITY,
            m_rate: 0.1,
            v_rate: 0.5,
            m_coef: 0.01,
            g_coef: 0.01,
            v_coef: 1.0,
            max_coef: 1.0,
            ..Scalars::default()
        };
        let mut part = Part { group: 0, param: &mut param, grad: &mut grad, m: &mut m, v: &mut v, v_max: &mut v_max };
        by_rule::<N>(rule, &scalars, &mut part);
        [param, m, v, v_max]
    }

    #[test]
    fn every_width_gives_the_same_bits() {
        let bits =
            |values: [Vec<f32>; 4]| values.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>());
        for (rule, kept) in [(Rule::AmsGrad, 3), (Rule::Adam, 2), (Rule::Momentum, 1), (Rule::Sgd, 0)] {
            for len in [1, 15, 16, 63, 64, 65, 200] {
                let by_one = stepped::<1>(rule, kept, len);
                let stood_still = by_one[0].iter().zip(numbers(1, len)).any(|(after, before)| *after == before);
                assert!(!stood_still, "{rule:?}, {len} elements");
                let by_one = bits(by_one);
                assert_eq!(by_one, bits(stepped::<16>(rule, kept, len)), "{rule:?}, {len} elements, 16 together");
                assert_eq!(by_one, bits(stepped::<32>(rule, kept, len)), "{rule:?}, {len} elements, 32 together");
                assert_eq!(by_one, bits(stepped::<64>(rule, kept, len)), "{rule:?}, {len} elements, 64 together");
            }
        }
    }
}
