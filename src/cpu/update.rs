//! Applies the rule to each element in place, with the scalars of `tick`. Twin of `update.wgsl`.

use multiversion::{multiversion, target::match_target};
use rayon::prelude::*;

use crate::config::options::Options;
use crate::config::rule::Rule;
use crate::cpu::gradient::{gradient, moved};
use crate::cpu::moments::Moments;
use crate::cpu::rules::{State, with_rule};
use crate::cpu::storage::Floats;
use crate::tick::scalars::Scalars;

/// The elements of one task. Each thread gets several tasks, so that a thread that finishes early can take over
/// another's. A task has whole pages of memory, and so whole chunks. The bounds are measured: see `benches/NOTES.md`.
fn elements_a_task(elements: usize) -> usize {
    (elements / (4 * rayon::current_num_threads())).next_multiple_of(1024).clamp(32 * 1024, 256 * 1024)
}

/// A slice of a tensor, with the same slice of each of its moments. Moments that the rule does not have are empty.
struct Task<'a> {
    clock: usize,
    param: &'a mut [f32],
    grad: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    v_max: &'a mut [f32],
}

/// Elements that are computed together. They fill four registers per moment, so that divisions overlap with other work
/// and loads come in long runs. See `benches/NOTES.md`.
type Chunk<const N: usize> = [f32; N];

/// Steps one chunk in place.
#[inline(always)]
fn chunk<const LIMITS: bool, const N: usize>(
    s: &Scalars,
    rule: impl Fn(&Scalars, &mut State, f32) -> f32,
    grad: &Chunk<N>,
    [param, m, v, v_max]: [&mut Chunk<N>; 4],
) {
    let mut after = [[0.0; N]; 4];
    for i in 0..N {
        let g = gradient::<LIMITS>(s, grad[i], param[i]);
        let mut state = State { m: m[i], v: v[i], v_max: v_max[i], square: g * g, param: param[i] };
        let step = rule(s, &mut state, g);
        (after[0][i], after[1][i], after[2][i], after[3][i]) =
            (moved::<LIMITS>(s, param[i], step), state.m, state.v, state.v_max);
    }
    [*param, *m, *v, *v_max] = after;
}

/// The chunks of a moment and the elements left after them. If the rule does not have this moment, one spare chunk.
#[inline(always)]
fn chunks<'a: 'b, 'b, const N: usize>(
    moment: &'a mut [f32],
    spare: &'b mut [Chunk<N>; 1],
) -> (&'b mut [Chunk<N>], &'a mut [f32]) {
    if moment.is_empty() { (spare, &mut []) } else { moment.as_chunks_mut() }
}

/// Chunk `i`. A single spare chunk stands for all chunks.
#[inline(always)]
fn at<const N: usize>(chunks: &mut [Chunk<N>], i: usize) -> &mut Chunk<N> {
    let last = chunks.len() - 1;
    &mut chunks[i.min(last)]
}

/// Steps all whole chunks. Returns the elements left after them.
#[inline(always)]
fn whole_chunks<'a, const LIMITS: bool, const N: usize>(
    s: &Scalars,
    rule: impl Fn(&Scalars, &mut State, f32) -> f32 + Copy,
    grad: &'a [f32],
    [param, m, v, v_max]: [&'a mut [f32]; 4],
) -> (&'a [f32], [&'a mut [f32]; 4]) {
    let mut spare = [[[0.0; N]; 1]; 3];
    let [no_m, no_v, no_v_max] = &mut spare;
    let (grads, grad_end) = grad.as_chunks();
    let (params, param_end) = param.as_chunks_mut();
    let (m, m_end) = chunks(m, no_m);
    let (v, v_end) = chunks(v, no_v);
    let (v_max, v_max_end) = chunks(v_max, no_v_max);
    for (i, (param, grad)) in params.iter_mut().zip(grads).enumerate() {
        chunk::<LIMITS, N>(s, rule, grad, [param, at(m, i), at(v, i), at(v_max, i)]);
    }
    (grad_end, [param_end, m_end, v_end, v_max_end])
}

/// Steps a task in chunks of `N`, the rest in chunks of 8, and the last few elements one by one.
#[inline(always)]
fn apply<const LIMITS: bool, const N: usize>(
    s: &Scalars,
    task: &mut Task,
    rule: impl Fn(&Scalars, &mut State, f32) -> f32 + Copy,
) {
    let (grad, state) = whole_chunks::<LIMITS, N>(s, rule, task.grad, [task.param, task.m, task.v, task.v_max]);
    let (grad, state) = whole_chunks::<LIMITS, 8>(s, rule, grad, state);
    whole_chunks::<LIMITS, 1>(s, rule, grad, state);
}

/// Steps a task in chunks of `N`. Each rule has its own loop.
#[inline(always)]
fn apply_rule_in_chunks<const LIMITS: bool, const N: usize>(rule: Rule, s: &Scalars, task: &mut Task) {
    with_rule!(rule, function => apply::<LIMITS, N>(s, task, function))
}

/// Compiled for several instruction sets; the best one is chosen at run time. None of them fuses a multiplication with
/// an addition, so all give the same bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2", "aarch64+neon",))]
fn apply_rule<const LIMITS: bool>(rule: Rule, s: &Scalars, task: &mut Task) {
    match_target! {
        "x86_64+avx512f" => apply_rule_in_chunks::<LIMITS, 64>(rule, s, task),
        "x86_64+avx2" => apply_rule_in_chunks::<LIMITS, 32>(rule, s, task),
        _ => apply_rule_in_chunks::<LIMITS, 16>(rule, s, task),
    }
}

/// Steps all tensors that are not of rows, each with the rule and the scalars of its clock. `clocks` gives the clock of each tensor,
/// `plain` whether it has no rows, and `rules` the rule of each clock.
pub(crate) fn update(
    options: &Options,
    clocks: &[usize],
    plain: &[bool],
    rules: &[Rule],
    scalars: &[Scalars],
    tensors: &mut [Floats],
    moments: &mut [Moments],
) {
    let elements = elements_a_task(tensors.iter().map(|tensor| tensor.param.len()).sum());
    let mut tasks = Vec::new();
    let all = tensors.iter_mut().zip(moments).zip(clocks).zip(plain);
    for (((tensor, moments), &clock), _) in all.filter(|(_, plain)| **plain) {
        let mut m = moments.m.chunks_mut(elements);
        let mut v = moments.v.chunks_mut(elements);
        let mut v_max = moments.v_max.chunks_mut(elements);
        for (param, grad) in tensor.param.chunks_mut(elements).zip(tensor.grad.chunks_mut(elements)) {
            let [m, v, v_max] = [&mut m, &mut v, &mut v_max].map(|moment| moment.next().unwrap_or_default());
            tasks.push(Task { clock, param, grad, m, v, v_max });
        }
    }
    tasks.into_par_iter().for_each(|mut task| {
        let s = &scalars[task.clock];
        if s.do_step != 0 {
            let apply = if s.limits() { apply_rule::<true> } else { apply_rule::<false> };
            apply(rules[task.clock], s, &mut task);
        }
        if options.zero_grad && s.keep_grad == 0 {
            task.grad.fill(0.0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(first: usize, len: usize) -> Vec<f32> {
        (first..first + len).map(|i| (i * 977 % 1021) as f32 - 400.0).collect()
    }

    /// Param, m, v and v_max after one step in chunks of `N`. The rule has the first `count` moments.
    fn stepped<const N: usize>(rule: Rule, count: usize, len: usize) -> [Vec<f32>; 4] {
        let mut grad = numbers(0, len);
        let [mut param, mut m, mut v, mut v_max] =
            [0, 1, 2, 3].map(|i| if i <= count { numbers(i + 1, len) } else { Vec::new() });
        v.iter_mut().for_each(|v| *v *= *v);
        let scalars = Scalars {
            grad_mul: 1.0,
            m_rate: 0.1,
            v_rate: 0.5,
            m_coef: 0.01,
            g_coef: 0.01,
            v_coef: 1.0,
            max_coef: 1.0,
            ..Scalars::default()
        };
        let mut task = Task { clock: 0, param: &mut param, grad: &mut grad, m: &mut m, v: &mut v, v_max: &mut v_max };
        apply_rule_in_chunks::<false, N>(rule, &scalars, &mut task);
        [param, m, v, v_max]
    }

    #[test]
    fn every_width_gives_the_same_bits() {
        let bits =
            |values: [Vec<f32>; 4]| values.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>());
        for (rule, count) in [(Rule::AmsGrad, 3), (Rule::Adam, 2), (Rule::Momentum, 1), (Rule::Sgd, 0)] {
            for len in [1, 15, 16, 63, 64, 65, 200] {
                let one_by_one = stepped::<1>(rule, count, len);
                let stood_still = one_by_one[0].iter().zip(numbers(1, len)).any(|(after, before)| *after == before);
                assert!(!stood_still, "{rule:?}, {len} elements");
                let want = bits(one_by_one);
                assert_eq!(want, bits(stepped::<16>(rule, count, len)), "{rule:?}, {len} elements, 16 together");
                assert_eq!(want, bits(stepped::<32>(rule, count, len)), "{rule:?}, {len} elements, 32 together");
                assert_eq!(want, bits(stepped::<64>(rule, count, len)), "{rule:?}, {len} elements, 64 together");
            }
        }
    }
}
