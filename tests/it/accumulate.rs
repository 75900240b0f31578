//! Gradients that are accumulated over several calls of `step`, which count on the device.

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::{Gpu, Run, Scene};
use wgpu_adam::{Clip, Config, LossScale, Options, cpu};

fn options(accumulate: u32) -> Options {
    Options { accumulate: Some(accumulate), zero_grad: true, ..Options::default() }
}

fn configs() -> [Config; 2] {
    [Config::default(), Config { lr: 0.02, maximize: true, ..Config::default() }]
}

#[test]
fn gpu_and_twin_agree_in_every_format() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let options = Options { clip: Clip::GlobalNorm(0.4), precision: precision.clone(), ..options(3) };
        let scene = Scene::arena(&[300, 17, 1001, 4, 600, 90], align(&precision), &configs(), options)
            .with_dtypes((param, GRADS[i % 4]), (0, 0));
        let mut run = scene.start(&gpu);
        for (calls, t) in [(2, 0), (1, 1), (5, 2)] {
            run.steps(&gpu, calls);
            run.assert_same(&gpu);
            assert_eq!(gpu.report(&run.adam).t, t);
        }
        assert_eq!(gpu.report(&run.adam).accumulated, 2);
    }
}

/// A power of two divides exactly.
#[test]
fn a_step_of_four_calls_is_one_of_the_mean_gradient() {
    let gpu = Gpu::new();
    let each = Options { clip: Clip::GlobalNorm(0.4), skip_nonfinite: true, ..Options::default() };
    let scene = |options| Scene::scattered(&[1000, 3, 4097], &configs(), options);
    let mut accumulated = scene(Options { accumulate: Some(4), ..each.clone() }).start(&gpu);
    let mut plain = scene(each).start(&gpu);
    for _ in 0..3 {
        for _ in 0..4 {
            accumulated.step(&gpu);
        }
        for (mean, sum) in plain.grads.iter_mut().flatten().zip(accumulated.grads.iter().flatten()) {
            *mean = sum / 4.0;
        }
        plain.upload_grads(&gpu);
        gpu.step(&plain.adam);
        plain.twin_step();
        plain.steps += 1;
        assert_eq!(accumulated.params, plain.params);
        accumulated.assert_same(&gpu);
        let norm = |run: &Run| gpu.report(&run.adam).grad_norm;
        assert_eq!(norm(&accumulated), norm(&plain));
    }
}

#[test]
fn a_call_without_a_step_changes_nothing_but_the_count() {
    let gpu = Gpu::new();
    let options = Options { loss_scale: Some(LossScale { growth_interval: 1, ..LossScale::default() }), ..options(3) };
    let mut run = Scene::scattered(&[1000, 3], &configs(), options).start(&gpu);
    run.adam.set_active(&["tensor1"], false).unwrap();
    run.twin.set_active(&["tensor1"], false).unwrap();
    let mut before = gpu.state(&run.adam);
    for accumulated in [1, 2] {
        let params = run.params.clone();
        run.fresh_grads();
        // Whether they are finite matters in the call that steps.
        run.grads[0][7] = f32::NAN;
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
        assert_eq!(run.params, params);
        assert!(run.grads.iter().all(|grads| grads[0] != 0.0), "the gradients stay");
        run.assert_same(&gpu);
        before.accumulated = accumulated;
        assert_eq!(gpu.state(&run.adam), before);
    }
    let report = run.twin_step();
    gpu.step(&run.adam);
    assert_eq!((report.t, report.skipped, report.accumulated), (0, 1, 0));
    assert!(run.grads.concat().iter().all(|g| *g == 0.0));
    run.assert_same(&gpu);
}

#[test]
fn a_run_that_is_saved_between_two_calls_resumes_exactly() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[1000, 3], &configs(), options(3)).start(&gpu);
    run.steps(&gpu, 5);
    let mut resumed = run.resumed(&gpu);
    for run in [&mut run, &mut resumed] {
        run.step(&gpu);
        run.assert_same(&gpu);
        assert_eq!((gpu.report(&run.adam).t, run.twin.report().t), (2, 2));
    }
    assert_eq!(gpu.state(&run.adam), gpu.state(&resumed.adam));
    assert_eq!(run.params, resumed.params);
}

#[test]
fn no_call_is_no_number_of_calls() {
    let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]);
    let error = cpu::Adam::new(&[group], options(0)).unwrap_err();
    assert_eq!(error.to_string(), "option accumulate is 0, but must be at least 1");
}
