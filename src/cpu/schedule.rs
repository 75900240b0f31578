//! The learning rate's factor at step t. Twin of `schedule.wgsl`; `tests` here hold it against float64.

use crate::clock::Settings;
use crate::fixed::{fraction, product};
use crate::phase::{HALF_COSINE, LOG2, Phase, kind};

/// The list of phases, and the values of all tables.
pub(super) struct Lists<'a> {
    pub phases: &'a [Phase],
    pub values: &'a [u64],
}

const ONE: u64 = u64::MAX;

/// log2 of an integer in units of 2^-58.
pub(crate) fn log2_of(a: u64) -> u64 {
    let shift = a.leading_zeros();
    let mut grown = a << shift;
    let mut lacking = 0u64;
    for (i, logarithm) in LOG2.iter().enumerate() {
        if let Some(more) = grown.checked_add(grown >> (i + 1)) {
            grown = more;
            lacking += logarithm;
        }
    }
    (u64::from(64 - shift) << 26 << 32).wrapping_sub(lacking >> 6)
}

fn exp2_minus(a: u64) -> u64 {
    let part = a << 6;
    if part == 0 {
        return ONE >> (a >> 58);
    }
    let mut left_over = part.wrapping_neg();
    let mut grown = 1 << 63;
    for (i, logarithm) in LOG2.iter().enumerate() {
        if left_over >= *logarithm {
            left_over -= logarithm;
            grown += grown >> (i + 1);
        }
    }
    grown >> (a >> 58)
}

fn half_cosine(x: u64) -> u64 {
    let second = x >= 1 << 63;
    let near = (if second { x.wrapping_neg() } else { x }) << 1;
    let double = if near == 0 { ONE } else { near };
    let square = product(double, double);
    let mut sum = HALF_COSINE[6];
    for term in HALF_COSINE[..6].iter().rev() {
        sum = term - product(square, sum);
    }
    sum = product(square, sum);
    if second { sum.wrapping_neg() } else { sum }
}

fn times(a: u64, k: u32) -> u128 {
    u128::from(a) * u128::from(k)
}

fn way(phase: &Phase, k: u32) -> u64 {
    let x = times(phase.step, k) as u64;
    let a = match phase.kind {
        kind::COSINE => return half_cosine(x),
        kind::EXPONENTIAL => times(phase.power, k / phase.every),
        kind::ROOT => {
            let logarithm = log2_of(u64::from(phase.every) + u64::from(k));
            u128::from(logarithm.wrapping_sub(phase.power) >> 1)
        }
        kind::POLYNOMIAL => {
            let logarithm = log2_of(x.wrapping_neg());
            u128::from(product(logarithm.wrapping_neg(), phase.power)) << 6
        }
        _ => return x,
    };
    u64::try_from(a).map_or(ONE, |a| exp2_minus(a).wrapping_neg())
}

fn between(start: u64, end: u64, way: u64) -> u64 {
    if start < end { start + product(end - start, way) } else { start - product(start - end, way) }
}

fn value(lists: &Lists, phase: &Phase, steps: u32) -> u64 {
    if phase.kind == kind::TABLE || phase.kind == kind::HELD_TABLE {
        let at = (steps / phase.every).min(phase.length - 1);
        let values = &lists.values[(phase.begin + at) as usize..];
        let k = steps - at * phase.every;
        if phase.kind == kind::HELD_TABLE || at == phase.length - 1 || k == 0 {
            return values[0];
        }
        return between(values[0], values[1], times(phase.step, k) as u64);
    }
    let k = if phase.repeats != 0 { steps % phase.length } else { steps };
    if k == 0 {
        return phase.start;
    }
    if k >= phase.length {
        return phase.end;
    }
    between(phase.start, phase.end, way(phase, k))
}

/// The factor at step t, the first of which is 1.
pub(super) fn factor(lists: &Lists, s: &Settings, t: u32) -> f32 {
    let phases = &lists.phases[s.first_phase as usize..][..s.phases as usize];
    let begun = phases.partition_point(|phase| phase.first < t);
    match phases[..begun].last() {
        Some(phase) => s.scale * fraction(value(lists, phase, t - 1 - phase.first)),
        None => 1.0,
    }
}
