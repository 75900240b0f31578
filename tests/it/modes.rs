//! The parameters for training and those for evaluation of Schedule-Free: the change and its way back, steps between them,
//! and states of both modes.

use crate::sampling::sample;
use crate::scene::precisions::stored;
use crate::scene::{Gpu, Scene};
use wgpu_adam::preset::{optax, schedulefree};
use wgpu_adam::{Adam, Clip, Config, Decay, Dtype, LossScale, Options, State, cpu};

fn decayed() -> Config {
    Config { beta1: 0.6, lr: 0.1, decay: Decay::Decoupled(0.1), ..schedulefree::adamw() }
}

/// Two Schedule-Free groups and one of Adam, in separate buffers and in an arena.
fn scenes(options: &Options) -> Vec<Scene> {
    let configs = [schedulefree::adamw(), decayed(), optax::adamw()];
    vec![
        Scene::scattered(&[5000, 257, 3, 4099], &configs, options.clone()),
        Scene::arena(&[300, 5000, 70, 1], 4, &configs, options.clone()),
    ]
}

/// The mean over the past, by the equations in float64, of a single parameter.
fn average(config: &Config, grads: &[f32], start: f32) -> (f64, f64) {
    let (mut y, mut z, mut v, mut sum) = (f64::from(start), f64::from(start), 0.0, 0.0);
    for (t, g) in (1..).zip(grads) {
        let g = f64::from(*g);
        v = config.beta2 * v + (1.0 - config.beta2) * g * g;
        let wd = if let Decay::Decoupled(wd) = config.decay { wd } else { 0.0 };
        let d = g / ((v / (1.0 - config.beta2.powi(t))).sqrt() + config.eps) + wd * y;
        sum += 1.0;
        let c = 1.0 / sum;
        (y, z) = ((1.0 - c) * y + c * z - config.lr * (1.0 - config.beta1 * (1.0 - c)) * d, z - config.lr * d);
    }
    (y, y + (1.0 - 1.0 / config.beta1) * (z - y))
}

#[test]
fn the_average_is_that_of_the_package_in_float64() {
    for config in [schedulefree::adamw(), decayed()] {
        let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 1)]);
        let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
        let grads = crate::scene::normals(1, 2, 100);
        let mut w = [0.5];
        for g in &grads {
            adam.step(&mut [cpu::TensorMut::new(&mut w, &mut [*g])]).unwrap();
        }
        let (y, x) = average(&config, &grads, 0.5);
        assert!((f64::from(w[0]) - y).abs() < 1e-6, "{w:?} for {y}");
        adam.eval_mode(&mut [cpu::TensorMut::new(&mut w, &mut [0.0])]).unwrap();
        assert!((f64::from(w[0]) - x).abs() < 1e-6, "{w:?} for {x}");
        assert!((x - y).abs() > 1e-5);
    }
}

#[test]
fn both_sides_change_alike_in_every_precision() {
    let gpu = Gpu::new();
    for (param, precision) in sample(stored()) {
        let options = Options { precision, ..Options::default() };
        for scene in scenes(&options).into_iter().map(|scene| scene.with_dtypes((param, Dtype::F32), (0, 0))) {
            let mut run = scene.start(&gpu);
            run.steps(&gpu, 5);
            let state = gpu.state(&run.adam);
            let trained = run.params.clone();
            run.change_mode(&gpu, true);
            run.assert_same(&gpu);
            assert_ne!(trained, run.params);
            assert!(gpu.state(&run.adam).evaluating && gpu.report(&run.adam).evaluating);
            // A second change changes nothing.
            let evaluated = run.params.clone();
            run.change_mode(&gpu, true);
            run.assert_same(&gpu);
            assert_eq!(evaluated, run.params);
            run.change_mode(&gpu, false);
            run.assert_same(&gpu);
            assert!(!gpu.state(&run.adam).evaluating);
            if param == Dtype::F32 {
                assert_eq!(state, gpu.state(&run.adam));
            }
            run.steps(&gpu, 3);
            run.assert_same(&gpu);
        }
    }
}

/// The way back is exact but for the last bit, and it does not drift.
#[test]
fn the_way_back_is_within_the_last_bit_and_does_not_drift() {
    for (lr, most) in [(1e-3, 0.02), (0.1, 0.2)] {
        let len = 100_000;
        let config = Config { beta1: 0.6, lr, ..schedulefree::adamw() };
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", len)]);
        let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
        let mut w = crate::scene::normals(1, 0, len);
        for t in 0..20 {
            adam.step(&mut [cpu::TensorMut::new(&mut w, &mut crate::scene::normals(2, t, len))]).unwrap();
        }
        let (trained, mut grads) = (w.clone(), vec![0.0; len]);
        let mut first = Vec::new();
        for round in 0..10 {
            adam.eval_mode(&mut [cpu::TensorMut::new(&mut w, &mut grads)]).unwrap();
            let average = w.clone();
            adam.train_mode(&mut [cpu::TensorMut::new(&mut w, &mut grads)]).unwrap();
            if round == 0 {
                for ((y, again), x) in trained.iter().zip(&w).zip(&average) {
                    assert!((y - again).abs() <= x.abs().max(y.abs()) * f32::EPSILON, "{y} {again} {x}");
                }
                first.clone_from(&w);
            }
            assert!(first == w, "rate {lr}, round {round}");
        }
        let changed = trained.iter().zip(&first).filter(|(before, after)| before != after).count();
        println!("rate {lr}: {changed} of {len} differ in the last bit");
        assert!(changed > 0 && (changed as f64) < most * len as f64, "rate {lr}: {changed}");
    }
}

#[test]
fn steps_in_evaluation_are_skipped_and_counted() {
    let gpu = Gpu::new();
    let scaled = Options { loss_scale: Some(LossScale::default()), ..Options::default() };
    let clipped = Options { clip: Clip::GlobalNorm(0.01), skip_nonfinite: true, ..Options::default() };
    for options in [Options::default(), clipped, scaled] {
        for scene in scenes(&options) {
            let mut run = scene.start(&gpu);
            run.steps(&gpu, 3);
            let scale = run.twin.loss_scale();
            run.change_mode(&gpu, true);
            run.steps(&gpu, 2);
            run.assert_same(&gpu);
            let report = gpu.report(&run.adam);
            assert_eq!((report.t, report.skipped, report.last_skipped, report.evaluating), (3, 2, true, true));
            assert_eq!((report.loss_scale, report.skipped_in_a_row), (scale, 0));
            run.change_mode(&gpu, false);
            run.steps(&gpu, 2);
            run.assert_same(&gpu);
            assert_eq!(gpu.report(&run.adam).t, 5);
        }
    }
}

#[test]
fn a_state_knows_its_mode() {
    let gpu = Gpu::new();
    for scene in scenes(&Options::default()) {
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 3);
        run.change_mode(&gpu, true);
        let mut resumed = run.resumed(&gpu);
        assert!(resumed.twin.state().evaluating);
        for run in [&mut run, &mut resumed] {
            run.change_mode(&gpu, false);
            run.steps(&gpu, 2);
            run.assert_same(&gpu);
        }
        assert_eq!((&run.params, gpu.state(&run.adam)), (&resumed.params, gpu.state(&resumed.adam)));
        // A state for training ends the evaluation, and its file has no field of modes.
        let state = gpu.state(&run.adam);
        assert!(!String::from_utf8_lossy(&state.to_bytes().unwrap()).contains("to_average"));
        run.change_mode(&gpu, true);
        pollster::block_on(run.adam.load_state(&state)).unwrap();
        assert!(!gpu.report(&run.adam).evaluating);
    }
}

/// A new beta1 or step count during an evaluation, and tensors that begin again, do not disturb the way back.
#[test]
fn changes_during_an_evaluation() {
    let gpu = Gpu::new();
    let scene = Scene::scattered(&[500, 257], &[decayed(), schedulefree::adamw()], Options::default());
    let mut run = scene.start(&gpu);
    run.steps(&gpu, 3);
    run.change_mode(&gpu, true);
    let config = Config { beta1: 0.95, ..decayed() };
    run.adam.set_config(0, config.clone()).unwrap();
    run.twin.set_config(0, config).unwrap();
    let name = run.adam.tensor_names().nth(1).unwrap().to_owned();
    run.adam.reset(&[&name]).unwrap();
    run.twin.reset(&[&name]).unwrap();
    run.adam.set_t(20).unwrap();
    run.twin.set_t(20);
    assert!(gpu.report(&run.adam).evaluating);
    run.change_mode(&gpu, false);
    run.assert_same(&gpu);
    run.steps(&gpu, 2);
    run.assert_same(&gpu);
}

/// Without a tensor that has an average, an evaluation goes on, is saved, and ends.
#[test]
fn an_evaluation_outlives_its_tensors() {
    let gpu = Gpu::new();
    let scene = Scene::scattered(&[500, 257], &[decayed(), optax::adamw()], Options::default());
    for removes in [false, true] {
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 2);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        run.adam.eval_mode(&mut encoder);
        gpu.queue.submit([encoder.finish()]);
        let name = run.adam.tensor_names().next().unwrap().to_owned();
        if removes {
            run.adam.remove(&[&name]).unwrap();
        } else {
            run.adam.reset(&[&name]).unwrap();
        }
        let state = State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
        pollster::block_on(run.adam.load_state(&state)).unwrap();
        gpu.step(&run.adam);
        let report = gpu.report(&run.adam);
        assert_eq!((report.t, report.skipped, report.evaluating), (2, 1, true));
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        run.adam.train_mode(&mut encoder);
        gpu.queue.submit([encoder.finish()]);
        gpu.step(&run.adam);
        let report = gpu.report(&run.adam);
        assert_eq!((report.t, report.evaluating), (3, false));
    }
}

#[test]
fn other_rules_have_no_modes() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[500], &[optax::adamw()], Options::default()).start(&gpu);
    run.steps(&gpu, 2);
    run.change_mode(&gpu, true);
    run.steps(&gpu, 1);
    run.assert_same(&gpu);
    assert_eq!((gpu.report(&run.adam).t, gpu.report(&run.adam).evaluating), (3, false));
}

#[test]
fn what_schedule_free_cannot_do_is_an_error() {
    let bad = |config: Config| {
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", 1)]);
        cpu::Adam::new(&[group], Options::default()).unwrap_err().to_string()
    };
    let free = schedulefree::adamw;
    assert_eq!(bad(Config { beta1: 0.0, ..free() }), "group 0: beta1 is 0, but must be above 0 for Schedule-Free");
    assert_eq!(
        bad(Config { param_min: Some(-1.0), ..free() }),
        "group 0: param_min is -1, but must be absent for Schedule-Free: z has no bounds"
    );
    assert_eq!(
        bad(Config { decay: Decay::Cautious(0.1), ..free() }),
        "group 0: weight_decay is 0.1, but must be Decay::Decoupled for Schedule-Free, whose decay is a part of the averaged step"
    );
    let rows = cpu::Tensor::new("w", 8).with_rows(wgpu_adam::rows::Rows::new(4));
    let error = cpu::Adam::new(&[cpu::Group::new(free(), vec![rows])], Options::default()).unwrap_err();
    assert!(error.to_string().contains("Schedule-Free AdamW needs a tensor whose elements all take part"), "{error}");
    let _: fn(&Adam, &mut wgpu::CommandEncoder) = Adam::eval_mode;
}
