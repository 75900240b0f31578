//! The schedule's factor of the learning rate at step t. Twin of `schedule.wgsl`.

use crate::num::fixed::{fraction, product};
use crate::num::fixed_math::{ONE, exp2_minus, half_cosine, log2_of};
use crate::tick::phases::{Phase, kind};
use crate::tick::settings::Settings;

/// The list of phases, and the values of all tables.
pub(crate) struct Lists<'a> {
    pub phases: &'a [Phase],
    pub values: &'a [u64],
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

/// The factor at step t. The first step has t = 1.
pub(crate) fn factor(lists: &Lists, s: &Settings, t: u32) -> f32 {
    let phases = &lists.phases[s.first_phase as usize..][..s.phases as usize];
    let begun = phases.partition_point(|phase| phase.first < t);
    match phases[..begun].last() {
        Some(phase) => s.scale * fraction(value(lists, phase, t - 1 - phase.first)),
        None => 1.0,
    }
}
