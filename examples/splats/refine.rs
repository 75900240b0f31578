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
const GROWTH: usize = 2;
const SPLIT_LOG_STD: f32 = -std::f32::consts::LN_2;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cpu::Cpu,
        gradient::{gpu, setup, target},
        random::Random,
        trainer::Trainer,
    };

    /// Row `row` of these has a number of its own, but each third has the stress of its neighbour.
    fn candidates(count: usize, seed: u64) -> Vec<Candidate> {
        let mut random = Random::new(seed);
        let mut stress = 0.0;
        let candidate = |row: usize| {
            let log_std = [random.uniform(1.0), random.uniform(1.0)];
            let logit = random.uniform(6.0);
            stress = if row.is_multiple_of(3) { stress } else { random.uniform(1.0).max(0.0) };
            let row = [0.0, 0.0, log_std[0], log_std[1], random.uniform(3.0), 0.0, 0.0, 0.0, logit];
            Candidate { row, touches: random.uniform(1.0) < 0.9, stress }
        };
        (0..count).map(candidate).collect()
    }

    #[test]
    fn rows_that_stay_keep_their_order_and_new_ones_follow() {
        for (count, most) in [(0, 10), (1, 1), (7, 8), (100, 1000), (1000, 1001)] {
            let candidates = candidates(count, 1);
            let stays = |at: &usize| candidates[*at].touches && candidates[*at].row[LOGIT] >= PRUNE_LOGIT;
            let staying: Vec<usize> = (0..count).filter(stays).collect();
            let plan = decide(&candidates, most);
            let (kept, appended) = plan.origin.split_at(staying.len());
            assert_eq!(kept.iter().map(|origin| old(*origin)).collect::<Vec<_>>(), staying);
            assert!(appended.len() <= staying.len() / GROWTH && plan.origin.len() <= most);
            for (source, origin) in plan.source.iter().zip(&plan.origin) {
                let keeps_state = origin & !ROW == KEEP;
                assert_eq!(*source, if keeps_state { old(*origin) as u32 } else { FRESH });
            }
            // No row with less stress was doubled.
            let stress = |origin: &u32| candidates[old(*origin)].stress;
            let least = appended.iter().map(stress).fold(f32::INFINITY, f32::min);
            let doubled: Vec<usize> = appended.iter().map(|origin| old(*origin)).collect();
            assert!(staying.iter().all(|at| doubled.contains(at) || candidates[*at].stress <= least));
        }
    }

    #[test]
    fn the_halves_of_a_splat_have_its_variance() {
        assert!((SHIFT * SHIFT + (-2.0 * SHRINK).exp() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn gpu_and_cpu_decide_and_move_alike() {
        let target = target([24, 20]);
        for (count, most) in [(1, 4usize), (4, 4), (255, 400), (256, 300), (257, 1000), (3000, 3001), (3000, 8000)] {
            let capacity = most.next_multiple_of(4);
            let mut setup = setup(&target, count);
            (setup.most, setup.capacity) = (most, capacity);
            let mut random = Random::new(9);
            for (row, candidate) in setup.rows.iter_mut().zip(candidates(count, count as u64)) {
                // Some are far outside the image.
                *row = candidate.row;
                row[0] = 12.0 + random.uniform(24.0);
                row[1] = 10.0 + random.uniform(20.0);
            }
            let (mut gpu, mut cpu) = (gpu(&setup), Cpu::new(&setup).unwrap());
            gpu.gradient();
            cpu.gradient();
            for (stress, candidate) in cpu.stress.iter_mut().zip(candidates(count, count as u64)) {
                *stress = candidate.stress;
            }
            gpu.write(&gpu.fit.buffers.stress, &cpu.stress);
            gpu.refine().unwrap();
            let plan = cpu.plan();
            cpu.refine().unwrap();

            let live = gpu.read::<u32>(&gpu.fit.buffers.live).unwrap()[0] as usize;
            assert_eq!(live, plan.source.len());
            println!(
                "{count} splats become {live}, {} of them fresh",
                plan.source.iter().filter(|at| **at == FRESH).count()
            );
            assert_eq!(gpu.read::<u32>(&gpu.fit.buffers.source).unwrap()[..live], plan.source);
            assert_eq!(gpu.read::<u32>(&gpu.fit.buffers.origin).unwrap()[..live], plan.origin);
            assert!(gpu.read::<f32>(&gpu.fit.buffers.stress).unwrap().iter().all(|stress| *stress == 0.0));
            let param: Vec<Row> = gpu.read(&gpu.fit.buffers.param).unwrap();
            for (row, (got, want)) in param.iter().zip(&cpu.param).enumerate().take(live) {
                for (column, (got, want)) in got.iter().zip(want).enumerate() {
                    assert!(
                        (got - want).abs() < 1e-4 * want.abs().max(1.0),
                        "row {row}, column {column}: {got}, {want}"
                    );
                }
            }
        }
    }
}
