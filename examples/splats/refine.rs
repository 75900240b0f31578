//! Pruning, cloning and splitting on the CPU: the twin of `decide.wgsl` and `move.wgsl`, which explain the rules.

use crate::splat::{ANGLE, LOG_STD, LOGIT, MEAN, Row};

/// A new row without an old one.
pub const FRESH: u32 = u32::MAX;

// An origin is an old row and one of four actions.
const ROW: u32 = 0x3fff_ffff;
const KEEP: u32 = 0;
const COPY: u32 = 1 << 30;
const HALF: u32 = 2 << 30;
const OTHER_HALF: u32 = 3 << 30;

const PRUNE_LOGIT: f32 = -3.891_820_3;
const GROWTH: usize = 4;
const SPLIT_LOG_STD: f32 = 0.405_465_1;
const SHRINK: f32 = 0.470_003_63;
const SHIFT: f32 = 0.780_624_7;

/// What a row is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub row: Row,
    pub touches: bool,
    pub stress: f32,
}

/// For each new row, where its state and its parameters come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// An old row, or [`FRESH`] for zeros.
    pub source: Vec<u32>,
    /// An old row, and above it what to do with its parameters.
    pub origin: Vec<u32>,
}

pub fn decide(candidates: &[Candidate], most: usize) -> Plan {
    let stays = |at: &usize| candidates[*at].touches && candidates[*at].row[LOGIT] >= PRUNE_LOGIT;
    let staying: Vec<usize> = (0..candidates.len()).filter(stays).collect();
    let quota = (staying.len() / GROWTH).min(most - staying.len());
    let mut order: Vec<u32> = staying.iter().map(|at| candidates[*at].stress.to_bits()).collect();
    order.sort_by(|a, b| b.cmp(a));
    // The greatest stress that more rows than the quota reach.
    let limit = order.get(quota).copied().unwrap_or(0);

    let (mut plan, mut appended) = (Plan::default(), Plan::default());
    for at in staying {
        let Candidate { row, stress, .. } = candidates[at];
        let doubles = stress.to_bits() > limit;
        let halves = doubles && row[LOG_STD].max(row[LOG_STD + 1]) > SPLIT_LOG_STD;
        plan.source.push(if halves { FRESH } else { at as u32 });
        plan.origin.push(at as u32 | if halves { HALF } else { KEEP });
        if doubles {
            appended.source.push(FRESH);
            appended.origin.push(at as u32 | if halves { OTHER_HALF } else { COPY });
        }
    }
    plan.source.extend(appended.source);
    plan.origin.extend(appended.origin);
    plan
}

/// Returns the old row of an origin.
pub fn old(origin: u32) -> usize {
    (origin & ROW) as usize
}

/// Makes the parameters of a new row from those of its old row.
pub fn moved(mut row: Row, origin: u32) -> Row {
    let action = origin & !ROW;
    if action == KEEP {
        return row;
    }
    let axis = usize::from(row[LOG_STD + 1] > row[LOG_STD]);
    let (sin, cos) = row[ANGLE].sin_cos();
    let direction = [[cos, sin], [-sin, cos]][axis];
    let shift = row[LOG_STD + axis].exp() * if action == OTHER_HALF { -SHIFT } else { SHIFT };
    row[MEAN] += shift * direction[0];
    row[MEAN + 1] += shift * direction[1];
    if action != COPY {
        row[LOG_STD + axis] -= SHRINK;
    }
    row
}
