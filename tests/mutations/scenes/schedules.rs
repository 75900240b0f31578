//! Learning rates under schedules that together use all of schedule.wgsl, and without a schedule.

use wgpu_adam::{Adam, Config, Group, Options, Schedule, Tensor, cpu};

use super::Difference;
use crate::scene::Gpu;

pub const SCENES: &[(&str, Difference)] = &[("schedules", schedules)];

/// Returns the first rate that differs from the twin's.
fn schedules(gpu: &Gpu) -> Option<String> {
    use Schedule::*;
    let cosine = Cosine { from: 0.1, to: 1.0, steps: 32 };
    let polynomial = |power| Polynomial { from: 0.9, to: 0.25, power, steps: 1_000_003 };
    let table = |interpolate| Table { values: vec![0.1, 0.7, 0.3], every: 7, interpolate };
    let schedules = [
        Schedule::default(),
        cosine.clone().with_warm_up(20),
        Linear { from: 3.0, to: 0.5, steps: 40 },
        CosineRestarts { from: 1.0, to: 0.01, steps: 10, growth: 1 },
        polynomial(0.9),
        polynomial(60.0),
        Exponential { rate: 0.9, every: 100 },
        Step { rate: 1e-3, every: 8 },
        Step { rate: 0.5, every: 9 },
        InverseSqrt { timescale: 100 },
        table(true),
        table(false),
        Sequence(vec![(0, Constant(0.5)), (9, cosine), (30, Constant(0.25))]),
    ];
    let groups = schedules.map(|schedule| {
        let (param, grad) = (gpu.buffer(&[0.0]), gpu.buffer(&[1.0]));
        let tensor = Tensor::f32(format!("{schedule:?}"), &param, &grad);
        Group::new(Config::default(), vec![tensor]).with_schedule(schedule)
    });
    let adam = Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap();
    let mut twin = adam.to_cpu();
    let mut values = vec![([0.0], [1.0]); groups.len()];
    for t in
        [0, 1, 2, 6, 8, 13, 15, 19, 20, 21, 28, 29, 36, 40, 52, 99, 600, 500_000, 999_988, 1_000_004, 4_000_000_000]
    {
        adam.set_t(t).unwrap();
        twin.set_t(t);
        gpu.step(&adam);
        let mut slots: Vec<_> = values.iter_mut().map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        let (got, want) = (gpu.report(&adam).groups, twin.step(&mut slots).unwrap().groups);
        if let Some(i) = (0..got.len()).find(|&i| got[i].lr.to_bits() != want[i].lr.to_bits()) {
            return Some(format!("t {}: rate {} for {}", got[i].t, got[i].lr, want[i].lr));
        }
    }
    None
}
