//! Settings that can change in mid-run: learning rates, configurations, schedules. GPU and twin agree before and after,
//! for any order of submissions, and a changed run resumes to the last bit.

use crate::scene::variants::variants;
use crate::scene::{Gpu, Run, Scene};
use wgpu_adam::preset::{optax, pytorch};
use wgpu_adam::{Clip, Config, Decay, Error, Options, Probe, Schedule, Variant, cpu};

/// Makes `steps` steps in one submission, with the same gradients.
fn submit(gpu: &Gpu, run: &mut Run, steps: usize) {
    run.fresh_grads();
    run.upload_grads(gpu);
    gpu.steps(&run.adam, steps);
    for _ in 0..steps {
        run.twin_step();
    }
    run.steps += steps as u64 - 1;
}

fn set_config(run: &mut Run, group: usize, config: Config) {
    run.adam.set_config(group, config.clone()).unwrap();
    run.twin.set_config(group, config.clone()).unwrap();
    assert_eq!(run.adam.groups()[group].config, config);
    assert_eq!(run.twin.groups()[group].config, config);
    run.scene.configs[group] = config;
}

fn set_schedule(run: &mut Run, group: usize, schedule: &Schedule) {
    run.adam.set_schedule(group, schedule.clone()).unwrap();
    run.twin.set_schedule(group, schedule.clone()).unwrap();
    assert_eq!(run.adam.groups()[group].schedule, *schedule);
    assert_eq!(run.twin.groups()[group].schedule, *schedule);
}

/// Another configuration of the same rule. Every number that the rule uses is different.
fn other(config: Config) -> Config {
    let lr = 0.3 * config.lr;
    let (decay, maximize) = (Decay::Decoupled(0.1), !config.maximize);
    let config = Config { lr, decay, maximize, ..config };
    let averages = Config { beta1: 0.6, beta2: 0.97, ..config };
    match config.variant {
        Variant::Adam | Variant::AdaBelief => {
            Config { eps: 1e-5, eps_root: 1e-6, decay: Decay::L2(0.1), bias_correction: false, ..averages }
        }
        Variant::AmsGrad { of_corrected } => {
            Config { eps: 1e-4, variant: Variant::AmsGrad { of_corrected: !of_corrected }, ..averages }
        }
        Variant::AdaMax => Config { eps: 1e-6, ..averages },
        Variant::NAdam { momentum_decay } => {
            let momentum_decay = if momentum_decay.is_some() { None } else { Some(0.01) };
            Config { eps: 1e-6, variant: Variant::NAdam { momentum_decay }, ..averages }
        }
        Variant::RAdam { eps_on_raw } => Config { variant: Variant::RAdam { eps_on_raw: !eps_on_raw }, ..averages },
        Variant::Lion => averages,
        Variant::RmsProp { momentum, nesterov, lr_in_momentum, centered, .. } => {
            let momentum = 0.5 * momentum;
            let nesterov = momentum > 0.0 && !nesterov;
            let variant = Variant::RmsProp { momentum, nesterov, lr_in_momentum, initial: 0.0, centered };
            Config { beta2: 0.8, eps_root: 1e-6, bias_correction: true, variant, ..config }
        }
        Variant::AdaGrad { .. } => {
            Config { eps: 1e-6, variant: Variant::AdaGrad { lr_decay: 0.2, initial: 0.0 }, ..config }
        }
        Variant::Sgd { momentum, nesterov, .. } => {
            let dampening = if nesterov { 0.5 } else { 0.0 };
            let (momentum, nesterov) = (0.5 * momentum, momentum > 0.0 && !nesterov);
            Config { variant: Variant::Sgd { momentum, dampening, nesterov }, ..config }
        }
        _ => config,
    }
}

#[test]
fn the_configuration_of_each_variant_can_change_in_mid_run() {
    let gpu = Gpu::new();
    for config in variants() {
        let options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
        let mut run = Scene::arena(&[100, 7, 30], 1, &[config.clone(), Config::default()], options).start(&gpu);
        submit(&gpu, &mut run, 3);
        let dispatches = run.adam.dispatches();
        set_config(&mut run, 0, other(config.clone()));
        submit(&gpu, &mut run, 4);
        run.assert_same(&gpu);
        let mut next = run.resumed(&gpu);
        set_config(&mut next, 0, config.clone());
        set_config(&mut run, 0, config.clone());
        for run in [&mut run, &mut next] {
            run.twin.set_lr(1, 0.02).unwrap();
            run.adam.set_lr(1, 0.02).unwrap();
            submit(&gpu, run, 3);
            run.assert_same(&gpu);
        }
        assert_eq!(gpu.state(&run.adam), gpu.state(&next.adam), "{config:?}");
        assert_eq!(run.adam.dispatches(), dispatches, "no dispatch may be added");
    }
}

#[test]
fn a_step_uses_the_configuration_at_its_submission() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100, 9], &[pytorch::adamw()], Options::default()).start(&gpu);
    submit(&gpu, &mut run, 2);
    let record = |run: &Run| {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        (0..3).for_each(|_| run.adam.step(&mut encoder));
        encoder.finish()
    };
    let (before, after) = (record(&run), record(&run));
    run.fresh_grads();
    run.upload_grads(&gpu);
    gpu.queue.submit([before]);
    (0..3).for_each(|_| drop(run.twin_step()));
    set_config(&mut run, 0, Config { lr: 0.5, beta1: 0.2, beta2: 0.5, ..pytorch::adamw() });
    gpu.queue.submit([after]);
    (0..3).for_each(|_| drop(run.twin_step()));
    run.steps += 6;
    run.assert_same(&gpu);
}

/// The correction uses the product of the betas of all steps, so it is exact even after they change.
#[test]
fn bias_correction_is_exact_after_the_betas_change() {
    let config = Config { lr: 1.0, eps: 0.0, ..Config::default() };
    let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 1)]);
    let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
    let mut w = [0.0];
    for step in 0..30 {
        if step == 3 {
            adam.set_config(0, Config { beta1: 0.5, beta2: 0.9, ..config }).unwrap();
        } else if step == 6 {
            adam.set_config(0, Config { beta1: 0.99, beta2: 0.9999, ..config }).unwrap();
        }
        // For a constant gradient both corrected moments are exact from the first step on, and the step is the learning
        // rate.
        adam.step(&mut [cpu::TensorMut::new(&mut w, &mut [3.0])]).unwrap();
        assert!((w[0] + (step + 1) as f32).abs() < 1e-5 * (step + 1) as f32, "step {step}: {w:?}");
    }
    assert_eq!(adam.t(), 30);
}

#[test]
fn a_schedule_can_change_in_mid_run() {
    let gpu = Gpu::new();
    let table =
        Schedule::Table { values: (0..50).map(|i| 1.0 / f64::from(i + 1)).collect(), every: 2, interpolate: true };
    let cosine = Schedule::Cosine { from: 1.0, to: 0.1, steps: 40 }.with_warm_up(6);
    let options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
    let configs = [pytorch::adamw(), Config { lr: 0.01, ..optax::lion() }];
    let mut run = Scene::arena(&[100, 7, 30, 9], 1, &configs, options).start(&gpu);
    let memory = run.adam.memory_use();
    for (group, schedule) in [
        (0, &cosine),
        (1, &table),
        (0, &Schedule::Step { rate: 0.5, every: 3 }),
        (0, &Schedule::default()),
        (1, &cosine),
        (1, &Schedule::default()),
    ] {
        submit(&gpu, &mut run, 3);
        let state = gpu.state(&run.adam);
        set_schedule(&mut run, group, schedule);
        assert_eq!(gpu.state(&run.adam).tensors, state.tensors, "a new schedule must change no state");
        submit(&gpu, &mut run, 4);
        run.step(&gpu);
        run.assert_same(&gpu);
        let report = gpu.report(&run.adam);
        let lr = run.adam.groups()[group].lr(report.t);
        assert!((f64::from(report.groups[group].lr) / lr - 1.0).abs() < 1e-6, "{report:?} for {lr}");
        let mut next = run.resumed(&gpu);
        submit(&gpu, &mut next, 2);
        next.assert_same(&gpu);
    }
    assert_eq!(run.adam.memory_use(), memory, "the memory use must not change");
}

#[test]
fn a_probe_and_reset_tensors_use_the_new_settings() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100, 7], &[Config::default()], Options::default()).start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    run.step(&gpu);
    set_schedule(&mut run, 0, &Schedule::WarmUp { steps: 9 });
    set_config(&mut run, 0, Config { beta1: 0.5, ..Config::default() });
    run.fresh_grads();
    let (got, want) = run.measured_step(&gpu, &probe);
    assert_eq!((got.t, got.skipped), (2, false));
    assert!(!gpu.software || got == want, "{got:?} for {want:?}");
    run.adam.reset(&["tensor1"]).unwrap();
    run.twin.reset(&["tensor1"]).unwrap();
    assert_eq!(run.adam.groups()[0].config.beta1, 0.5);
    // The tensors of the group have two clocks now, and both get the new settings.
    set_config(&mut run, 0, Config { beta1: 0.7, lr: 0.1, ..Config::default() });
    set_schedule(&mut run, 0, &Schedule::WarmUp { steps: 30 });
    submit(&gpu, &mut run, 3);
    run.assert_same(&gpu);
}

#[test]
fn invalid_settings_are_named_and_change_nothing() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100], &[pytorch::adamw()], Options::default()).start(&gpu);
    run.steps(&gpu, 2);
    let momentum = Variant::Sgd { momentum: 0.9, dampening: 0.0, nesterov: false };
    for (config, want) in [
        (optax::lion(), "group 0: the new configuration has the rule Lion, but the optimizer was made for Adam"),
        (
            Config { variant: momentum, ..pytorch::sgd() },
            "group 0: the new configuration has the rule Momentum, but the optimizer was made for Adam",
        ),
        (Config { lr: -1.0, ..pytorch::adamw() }, "group 0: lr is -1, but must be finite and not negative"),
        (
            Config { variant: Variant::AdaMax, eps_root: 0.1, ..Config::default() },
            "group 0: the new configuration has the rule AdaMax, but the optimizer was made for Adam",
        ),
        (Config { beta2: 1.0, ..pytorch::adamw() }, "group 0: beta2 is 1, but must be in [0, 1)"),
    ] {
        assert_eq!(run.adam.set_config(0, config.clone()).unwrap_err().to_string(), want);
        assert_eq!(run.twin.set_config(0, config).unwrap_err().to_string(), want);
    }
    let none = Schedule::WarmUp { steps: 0 };
    let want = "group 0: schedule.steps is 0, but must be at least 1";
    assert_eq!(run.adam.set_schedule(0, none.clone()).unwrap_err().to_string(), want);
    assert_eq!(run.twin.set_schedule(0, none).unwrap_err().to_string(), want);
    let missing = |result| assert!(matches!(result, Err(Error::NoSuchGroup { group: 1, groups: 1, .. })), "{result:?}");
    missing(run.adam.set_config(1, Config::default()));
    missing(run.twin.set_config(1, Config::default()));
    missing(run.adam.set_schedule(1, Schedule::default()));
    missing(run.twin.set_schedule(1, Schedule::default()));
    missing(run.adam.set_lr(1, 0.1));
    missing(run.twin.set_lr(1, 0.1));
    assert_eq!((&run.adam.groups()[0].config, run.twin.t()), (&pytorch::adamw(), 2));
    assert!(run.adam.tensor_names().eq(["tensor0"]) && run.twin.tensor_names().eq(["tensor0"]));
    submit(&gpu, &mut run, 3);
    run.assert_same(&gpu);
}
