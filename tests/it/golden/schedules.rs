//! Schedules against PyTorch and optax, step by step. `tests/golden/schedules.py` made the numbers.

use crate::scene::Gpu;
use serde::Deserialize;
use wgpu_adam::{Adam, Config, Group, Options, Schedule, Tensor, View};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    lr: f64,
    /// `rates[n]` is the learning rate of step n + 1.
    rates: Vec<f64>,
}

/// The schedule of this crate for each case.
fn schedules() -> Vec<(&'static str, Schedule)> {
    use Schedule::*;
    let cosine = |to| Cosine { from: 1.0, to, steps: 200 };
    let restarts = |to, growth| CosineRestarts { from: 1.0, to, steps: 20, growth };
    let linear = |from, to, steps| Linear { from, to, steps };
    let falls = || Sequence(vec![(0, Constant(1.0)), (40, Constant(0.1)), (90, Constant(0.01))]);
    let lines = [(0, linear(0.04, 1.0, 60)), (60, linear(1.0, 0.04, 110)), (170, linear(0.04, 4e-6, 30))];
    vec![
        ("torch linear", linear(0.1, 0.8, 50)),
        ("torch cosine", cosine(0.01)),
        ("torch restarts", restarts(0.01, 1)),
        ("torch growing restarts", restarts(0.0, 2)),
        ("torch exponential", Exponential { rate: 0.97, every: 1 }),
        ("torch step", Step { rate: 0.5, every: 30 }),
        ("torch multi-step", falls()),
        ("torch polynomial", Polynomial { from: 1.0, to: 0.0, power: 0.9, steps: 150 }),
        ("torch one-cycle", OneCycle { from: 0.04, to: 4e-6, up: 59, down: 140 }),
        ("torch inverse square root", InverseSqrt { timescale: 1 }),
        ("torch warm-up, then cosine", Sequence(vec![(0, linear(0.02, 1.0, 50)), (50, cosine(0.01))])),
        ("optax linear", linear(0.0, 1.0, 50)),
        ("optax cosine", cosine(0.1)),
        ("optax warm-up, then cosine", Sequence(vec![(0, linear(0.0, 1.0, 50)), (50, cosine(0.1))])),
        ("optax exponential", Exponential { rate: 0.5, every: 25 }),
        ("optax staircase", Step { rate: 0.5, every: 25 }),
        ("optax polynomial", Polynomial { from: 1.0, to: 0.1, power: 2.5, steps: 150 }),
        ("optax one-cycle", OneCycle { from: 0.04, to: 4e-6, up: 60, down: 140 }),
        ("optax one-cycle of lines", Sequence(lines.to_vec())),
        ("optax piecewise constant", falls()),
        ("optax joined", Sequence(vec![(0, Constant(1.0)), (100, linear(1.0, 0.0, 70))])),
    ]
}

fn cases() -> Vec<(Case, Schedule)> {
    let golden: Golden = serde_json::from_str(include_str!("../../golden/schedules.json")).unwrap();
    let named = golden.cases.into_iter().zip(schedules());
    named
        .map(|(case, (name, schedule))| {
            assert_eq!(case.name, name);
            (case, schedule)
        })
        .collect()
}

#[test]
fn float64_rates_agree_with_the_frameworks() {
    let cases = cases();
    assert_eq!(cases.len(), 21);
    for (case, schedule) in cases {
        for (n, want) in case.rates.iter().enumerate() {
            let got = case.lr * schedule.factor(n as u32 + 1);
            // PyTorch computes each rate from the previous one.
            assert!((got - want).abs() < 1e-13, "{}, after {n} steps: {got} for {want}", case.name);
        }
    }
}

#[test]
fn the_device_is_within_1e_6_of_the_frameworks() {
    let gpu = Gpu::new();
    let cases = cases();
    let groups = cases.iter().map(|(case, schedule)| {
        let (param, grad) = (gpu.buffer(&[0.0]), gpu.buffer(&[1.0]));
        let tensor = Tensor::new(case.name.clone(), View::f32(&param), View::f32(&grad));
        Group::new(Config { lr: case.lr, ..Config::default() }, vec![tensor]).with_schedule(schedule.clone())
    });
    let adam = Adam::new(&gpu.device, &gpu.queue, &groups.collect::<Vec<_>>(), Options::default()).unwrap();
    let steps = cases.iter().map(|(case, _)| case.rates.len()).max().unwrap();
    let mut worst: f64 = 0.0;
    for n in 0..steps {
        gpu.step(&adam);
        for ((case, _), group) in cases.iter().zip(gpu.report(&adam).groups) {
            let Some(want) = case.rates.get(n) else { continue };
            let error = (f64::from(group.lr) - want).abs() / case.lr;
            assert!(error < 1e-6, "{}, after {n} steps: {} for {want}", case.name, group.lr);
            worst = worst.max(error);
        }
    }
    println!("worst: {worst:.2e} of the largest rate");
}
