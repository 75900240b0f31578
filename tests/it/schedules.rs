//! Schedules on the device and on the twin: close to float64 at each step, and equal to the last bit.

use crate::scene::{Gpu, mix};
use wgpu::Buffer;
use wgpu_adam::{Adam, Config, Group, Options, Schedule, State, Tensor, View, cpu};

/// The allowed error as a share of the largest rate: 3 * 2^-24 for the roundings of `lr`, of the factor and of their
/// product, and a little for the rest.
const TOLERANCE: f64 = 2e-7;

/// Schedules of each kind, short and long, rising and falling.
fn schedules() -> Vec<Schedule> {
    use Schedule::*;
    let cosine = |steps| Cosine { from: 1.0, to: 0.0, steps };
    let polynomial = |power, steps| Polynomial { from: 1.0, to: 0.01, power, steps };
    let restarts = |steps, growth| CosineRestarts { from: 1.0, to: 1e-3, steps, growth };
    let table = |values: usize, every, interpolate| {
        let values = (0..values as u64).map(|i| (mix(i) % 1_000_003) as f64 * 1e-5);
        Table { values: values.collect(), every, interpolate }
    };
    vec![
        Schedule::default(),
        Constant(0.3),
        Constant(0.0),
        WarmUp { steps: 1 },
        WarmUp { steps: 2 },
        WarmUp { steps: 1_000 },
        WarmUp { steps: u32::MAX },
        Linear { from: 0.0, to: 1.0, steps: 700 },
        Linear { from: 1.5, to: 0.2, steps: 1_000_000_007 },
        Linear { from: 1.0, to: 0.0, steps: 1 },
        cosine(1),
        cosine(2),
        cosine(3),
        cosine(1_001),
        cosine(3_000_000_000),
        Cosine { from: 0.1, to: 3.0, steps: 1_500 },
        restarts(1, 1),
        restarts(10, 1),
        restarts(10, 2),
        restarts(7, 3),
        restarts(1_000_000, 1),
        Exponential { rate: 0.99, every: 1 },
        Exponential { rate: 0.1, every: 1 },
        Exponential { rate: 1e-30, every: 1 },
        Exponential { rate: 0.5, every: 1_000_000_000 },
        Exponential { rate: 1.0 - 1e-9, every: 1 },
        Exponential { rate: 1.0, every: 1 },
        Step { rate: 0.1, every: 30 },
        Step { rate: 0.97, every: 10_000 },
        Step { rate: 0.5, every: 1 },
        polynomial(1.0, 1_000),
        polynomial(0.9, 1_000),
        polynomial(0.5, 900_000_000),
        polynomial(2.0, 1_500),
        polynomial(63.0, 2_000),
        polynomial(0.01, 1_999),
        OneCycle { from: 0.04, to: 4e-6, up: 300, down: 700 },
        OneCycle { from: 0.04, to: 4e-6, up: 300_000_000, down: 700_000_000 },
        InverseSqrt { timescale: 1 },
        InverseSqrt { timescale: 10_000 },
        InverseSqrt { timescale: u32::MAX },
        table(1, 1, true),
        table(2_000, 1, true),
        table(300, 7, true),
        table(300, 7, false),
        table(1_000, 1_000_000, true),
        cosine(1_500).with_warm_up(500),
        InverseSqrt { timescale: 400 }.with_warm_up(400),
        Sequence(vec![(0, Constant(1.0)), (30, Constant(0.1)), (80, Constant(0.01))]),
        Sequence(vec![
            (0, cosine(100).with_warm_up(10)),
            (60, restarts(5, 2)),
            (61, table(10, 3, true)),
            (
                500,
                Sequence(vec![(0, Step { rate: 0.5, every: 3 }), (1, OneCycle { from: 0.5, to: 0.1, up: 9, down: 9 })]),
            ),
            (700, restarts(100, 2)),
            (1_000_000, Exponential { rate: 0.7, every: 1_000_000 }),
            (4_000_000_000, OneCycle { from: 0.0, to: 0.5, up: 300_000_000, down: 10 }),
        ]),
    ]
}

const LR: f64 = 3e-4;

/// One group per schedule, with one element each.
struct Pair<'a> {
    gpu: &'a Gpu,
    adam: Adam,
    twin: cpu::Adam,
    grad: Buffer,
    param: Vec<f32>,
    schedules: Vec<Schedule>,
    peaks: Vec<f64>,
}

impl<'a> Pair<'a> {
    fn new(gpu: &'a Gpu, schedules: Vec<Schedule>, options: Options) -> Self {
        let (param, grad) = (gpu.buffer(&vec![0.0; schedules.len()]), gpu.buffer(&vec![1.0; schedules.len()]));
        let config = Config { lr: LR, ..Config::default() };
        let groups: Vec<Group> = schedules
            .iter()
            .enumerate()
            .map(|(i, schedule)| {
                let view = |buffer| View::f32(buffer).slice(i as u64..=i as u64);
                let tensor = Tensor::new(format!("w{i}"), view(&param), view(&grad));
                Group::new(config.clone(), vec![tensor]).with_schedule(schedule.clone())
            })
            .collect();
        let adam = Adam::new(&gpu.device, &gpu.queue, &groups, options).unwrap();
        let twin = adam.to_cpu();
        let peaks = schedules.iter().map(largest).collect();
        Self { gpu, adam, twin, grad, param: vec![0.0; schedules.len()], schedules, peaks }
    }

    fn set_t(&mut self, t: u32) {
        self.adam.set_t(t).unwrap();
        self.twin.set_t(t);
    }

    fn twin_step(&mut self, grad: f32) -> Vec<(u32, f32)> {
        let mut grads = vec![grad; self.param.len()];
        let slots = self.param.chunks_mut(1).zip(grads.chunks_mut(1));
        let report =
            self.twin.step(&mut slots.map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect::<Vec<_>>());
        report.unwrap().groups.iter().map(|group| (group.t, group.lr)).collect()
    }

    /// Makes `steps` steps on the GPU in one submission.
    fn gpu_steps(&self, steps: usize) -> Vec<(u32, f32)> {
        self.gpu.steps(&self.adam, steps);
        self.gpu.report(&self.adam).groups.iter().map(|group| (group.t, group.lr)).collect()
    }

    /// Compares the rates of the last step with float64, and updates the largest errors, in units of the largest rate.
    fn check(&self, groups: &[(u32, f32)], worst: &mut [f64]) {
        for (i, (schedule, (t, lr))) in self.schedules.iter().zip(groups).enumerate() {
            let want = LR * schedule.factor(*t);
            let error = (f64::from(*lr) - want).abs() / (LR * self.peaks[i]);
            assert!(error <= TOLERANCE, "{schedule:?} at t = {t}: {lr:e} for {want:e}, {error:.2e} of the peak");
            worst[i] = worst[i].max(error);
        }
    }
}

/// The largest factor over many steps, and at least 1e-3.
fn largest(schedule: &Schedule) -> f64 {
    let dense = (1..5_000).map(|t| schedule.factor(t));
    let spread = (0..5_000).map(|i| schedule.factor(i * 859_000));
    dense.chain(spread).fold(1e-3, f64::max)
}

/// Steps from the whole range, including those near ends of schedules and powers of two.
fn sample(count: u64) -> impl Iterator<Item = u32> {
    let near = [10, 30, 61, 80, 300, 1_000, 1_000_000, 300_000_000, 1_000_000_000, 1_000_000_007, 4_000_000_000];
    let near = near.into_iter().flat_map(|t: u32| (0..4).map(move |i| t - 2 + i));
    let powers = (12..32).flat_map(|bits| (0..4u32).map(move |i| (1u32 << bits) - 2 + i));
    // Equally many in each octave.
    let random = (0..count).map(|i| (mix(i) >> 32) as u32 >> (mix(i ^ 1 << 40) % 20));
    near.chain(powers).chain(random).chain([u32::MAX - 2, u32::MAX - 1])
}

#[test]
fn the_twin_is_within_2e_7_of_float64() {
    let gpu = Gpu::new();
    let mut pair = Pair::new(&gpu, schedules(), Options::default());
    let mut worst = vec![0.0; pair.schedules.len()];
    for _ in 0..3_000 {
        let groups = pair.twin_step(1.0);
        pair.check(&groups, &mut worst);
    }
    for t in sample(5_000) {
        pair.set_t(t);
        let groups = pair.twin_step(1.0);
        pair.check(&groups, &mut worst);
    }
    for (schedule, worst) in pair.schedules.iter().zip(worst) {
        println!("{worst:.2e}  {:.100}", format!("{schedule:?}"));
    }
}

#[test]
fn the_gpu_and_the_twin_have_the_same_rates() {
    let gpu = Gpu::new();
    let mut pair = Pair::new(&gpu, schedules(), Options::default());
    let mut worst = vec![0.0; pair.schedules.len()];
    let bits = |groups: &[(u32, f32)]| groups.iter().map(|(t, lr)| (*t, lr.to_bits())).collect::<Vec<_>>();
    let starts = (0..2_100).map(|_| None).chain(sample(1_000).map(Some));
    for start in starts {
        if let Some(t) = start {
            pair.set_t(t);
        }
        let (got, want) = (pair.gpu_steps(1), pair.twin_step(1.0));
        // The factor is computed with integers and one multiplication, so every adapter gives the same bits.
        assert_eq!(bits(&got), bits(&want), "from {start:?}");
        pair.check(&got, &mut worst);
    }
}

#[test]
fn a_thousand_steps_in_one_submission_equal_a_thousand_submissions() {
    let gpu = Gpu::new();
    let (together, apart) =
        (Pair::new(&gpu, schedules(), Options::default()), Pair::new(&gpu, schedules(), Options::default()));
    let mut last = Vec::new();
    for _ in 0..1_000 {
        last = apart.gpu_steps(1);
    }
    assert_eq!(together.gpu_steps(1_000), last);
    assert_eq!(gpu.state(&together.adam), gpu.state(&apart.adam));
}

#[test]
fn a_skipped_step_does_not_advance_the_schedule() {
    let gpu = Gpu::new();
    let schedule = Schedule::Linear { from: 1.0, to: 0.0, steps: 100 };
    let mut pair = Pair::new(&gpu, vec![schedule.clone()], Options { skip_nonfinite: true, ..Options::default() });
    let mut applied = 0;
    for step in 0..60 {
        let grad = if step % 3 == 1 { f32::NAN } else { 1.0 };
        gpu.write(&pair.grad, &[grad]);
        applied += u32::from(!grad.is_nan());
        let (got, want) = (pair.gpu_steps(1), pair.twin_step(grad));
        assert_eq!(got, want);
        assert_eq!(got[0].0, applied);
        assert!((f64::from(got[0].1) - LR * (1.0 - f64::from(applied - 1) / 100.0)).abs() < 1e-6 * LR);
    }
    assert_eq!(applied, 40);
}

/// Groups with different schedules, and a new base rate in mid-run. The parameters move by the rates.
#[test]
fn each_group_has_its_own_schedule_and_set_lr_sets_its_base_rate() {
    let gpu = Gpu::new();
    let schedules = vec![Schedule::Step { rate: 0.5, every: 10 }, Schedule::WarmUp { steps: 20 }, Schedule::default()];
    let mut pair = Pair::new(&gpu, schedules, Options::default());
    let mut moved = [0.0; 3];
    for step in 0..40u32 {
        if step == 25 {
            pair.adam.set_lr(1, 1.0).unwrap();
            pair.twin.set_lr(1, 1.0).unwrap();
        }
        let groups = pair.gpu_steps(1);
        assert_eq!(groups, pair.twin_step(1.0));
        let base = if step < 25 { LR } else { 1.0 };
        let want = [LR * 0.5f64.powi((step / 10) as i32), base * (f64::from(step + 1) / 20.0).min(1.0), LR];
        for (i, (got, want)) in groups.iter().zip(want).enumerate() {
            assert!((f64::from(got.1) / want - 1.0).abs() < 2e-7, "group {i}, step {step}: {got:?} for {want}");
            // A constant gradient moves a parameter by the learning rate.
            moved[i] += want;
        }
    }
    for (param, moved) in pair.param.iter().zip(moved) {
        assert!((f64::from(-param) / moved - 1.0).abs() < 1e-5, "{param} for {moved}");
    }
}

/// A run with all schedules is saved, and loaded by an optimizer that was created without any, on the GPU and on the
/// twin.
#[test]
fn a_state_contains_the_schedules() {
    let gpu = Gpu::new();
    let all = schedules();
    let mut run = Pair::new(&gpu, all.clone(), Options::default());
    run.set_t(40);
    assert_eq!(run.gpu_steps(1), run.twin_step(1.0));
    let state = State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
    assert_eq!(state, run.twin.state());
    let load = |pair: &mut Pair, state: &State| {
        pollster::block_on(pair.adam.load_state(state)).unwrap();
        pair.twin.load_state(state).unwrap();
    };
    let mut resumed = Pair::new(&gpu, vec![Schedule::default(); all.len()], Options::default());
    load(&mut resumed, &state);
    let mut same = Pair::new(&gpu, all.clone(), Options::default());
    let mut without: State = state.clone();
    without.groups.iter_mut().for_each(|group| group.schedule = None);
    load(&mut same, &without);
    for _ in 0..20 {
        let want = run.gpu_steps(1);
        for other in [&mut resumed, &mut same] {
            assert_eq!((other.gpu_steps(1), other.twin_step(1.0)), (want.clone(), want.clone()));
        }
    }
    // If the state has no schedules, an optimizer keeps its own. A state with an invalid schedule is rejected.
    let mut constant = Pair::new(&gpu, vec![Schedule::default(); all.len()], Options::default());
    load(&mut constant, &without);
    assert!(constant.gpu_steps(1).iter().all(|(t, lr)| (*t, *lr) == (42, LR as f32)));
    let mut invalid = state;
    invalid.groups[7].schedule = Some(Schedule::WarmUp { steps: 0 });
    let want = "group 7: schedule.steps is 0, but must be at least 1";
    let error = pollster::block_on(constant.adam.load_state(&invalid)).unwrap_err();
    assert_eq!(error.to_string(), want);
    assert_eq!(constant.twin.load_state(&invalid).unwrap_err().to_string(), want);
    assert_eq!(invalid.to_bytes().unwrap_err().to_string(), want);
}

#[test]
fn invalid_values_are_named() {
    use Schedule::*;
    let gpu = Gpu::new();
    let (param, grad) = (gpu.buffer(&[0.0]), gpu.buffer(&[0.0]));
    let linear = |from, to, steps| Linear { from, to, steps };
    for (schedule, want) in [
        (Constant(-1.0), "schedule is -1, but must be a number from 0 to 1e6"),
        (Constant(f64::NAN), "schedule is NaN, but must be a number from 0 to 1e6"),
        (WarmUp { steps: 0 }, "schedule.steps is 0, but must be at least 1"),
        (linear(-0.1, 1.0, 5), "schedule.from is -0.1, but must be a number from 0 to 1e6"),
        (linear(1.0, f64::INFINITY, 5), "schedule.to is inf, but must be a number from 0 to 1e6"),
        (linear(1.0, 0.0, 0), "schedule.steps is 0, but must be at least 1"),
        (Cosine { from: 1.0, to: 2e6, steps: 9 }, "schedule.to is 2000000, but must be a number from 0 to 1e6"),
        (CosineRestarts { from: 1.0, to: 0.0, steps: 9, growth: 0 }, "schedule.growth is 0, but must be at least 1"),
        (Exponential { rate: 0.0, every: 1 }, "schedule.rate is 0, but must be above 0 and at most 1"),
        (Exponential { rate: 1.1, every: 1 }, "schedule.rate is 1.1, but must be above 0 and at most 1"),
        (Step { rate: 0.5, every: 0 }, "schedule.every is 0, but must be at least 1"),
        (
            Polynomial { from: 1.0, to: 0.0, power: 0.0, steps: 9 },
            "schedule.power is 0, but must be above 0 and below 64",
        ),
        (OneCycle { from: 0.1, to: 0.0, up: 0, down: 1 }, "schedule.up is 0, but must be at least 1"),
        (OneCycle { from: 0.1, to: 0.0, up: 1, down: 0 }, "schedule.down is 0, but must be at least 1"),
        (InverseSqrt { timescale: 0 }, "schedule.timescale is 0, but must be at least 1"),
        (Sequence(vec![]), "schedule sequence's length is 0, but must be at least 1"),
        (Sequence(vec![(1, Constant(1.0))]), "schedule[0]'s beginning is 1, but must be 0"),
        (
            Sequence(vec![(0, Constant(1.0)), (5, Constant(1.0)), (5, Constant(1.0))]),
            "schedule[2]'s beginning is 5, but must be above the one before it",
        ),
        (linear(1.0, 0.0, 0).with_warm_up(5), "schedule[1].steps is 0, but must be at least 1"),
        (linear(1.0, 0.0, 9).with_warm_up(0), "schedule[0].steps is 0, but must be at least 1"),
        (Table { values: vec![], every: 1, interpolate: true }, "schedule table's length is 0, but must be at least 1"),
        (
            Table { values: vec![1.0, f64::NAN], every: 1, interpolate: true },
            "schedule.values[1] is NaN, but must be a number from 0 to 1e6",
        ),
        (Table { values: vec![1.0], every: 0, interpolate: true }, "schedule.every is 0, but must be at least 1"),
    ] {
        let valid = Group::new(Config::default(), vec![Tensor::f32("w", &param, &grad)]);
        let invalid = Group::new(Config::default(), vec![]).with_schedule(schedule.clone());
        let want = format!("group 1: {want}");
        let error = Adam::new(&gpu.device, &gpu.queue, &[valid, invalid], Options::default()).err();
        assert_eq!(error.map(|e| e.to_string()), Some(want.clone()), "{schedule:?}");
        let valid = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]);
        let invalid = cpu::Group::new(Config::default(), vec![]).with_schedule(schedule);
        assert_eq!(cpu::Adam::new(&[valid, invalid], Options::default()).unwrap_err().to_string(), want);
    }
    // The schedule's largest factor would raise this rate beyond f32.
    let schedule = linear(0.0, 1e6, 9);
    let too_large = "group 0: lr times the schedule's largest factor is \
                     1000000000000000000000000000000000000000, but must be finite and not negative";
    let group = cpu::Group::new(Config { lr: 1e33, ..Config::default() }, vec![cpu::Tensor::new("w", 1)]);
    let error = cpu::Adam::new(&[group.with_schedule(schedule.clone())], Options::default()).unwrap_err();
    assert_eq!(error.to_string(), too_large);
    let mut pair = Pair::new(&gpu, vec![schedule], Options::default());
    assert_eq!(pair.adam.set_lr(0, 1e33).unwrap_err().to_string(), too_large);
    assert_eq!(pair.twin.set_lr(0, 1e33).unwrap_err().to_string(), too_large);
}
