//! `skip_nonfinite`, the norm over all magnitudes, and clipping, on the GPU and on the twin.

use std::slice::from_ref;

use crate::sampling::grid;
use crate::scene::{Gpu, Run, Scene, normal};
use wgpu_adam::{Clip, Config, Options, Report, preset};

fn guarded() -> Options {
    Options { skip_nonfinite: true, ..Options::default() }
}

fn scene(options: Options) -> Scene {
    let configs = [Config::default(), Config { lr: 0.1, ..Config::default() }];
    Scene::scattered(&[1000, 3, 4097], &configs, options)
}

/// Makes one step on both sides with the current gradients. Both must agree.
fn step(run: &mut Run, gpu: &Gpu) -> Report {
    run.upload_grads(gpu);
    gpu.step(&run.adam);
    run.twin_step();
    run.steps += 1;
    run.assert_same(gpu);
    gpu.report(&run.adam)
}

#[test]
fn a_non_finite_or_overflowing_gradient_skips_the_step_and_is_named() {
    let gpu = Gpu::new();
    let nan_payload = f32::from_bits(0xffc1_2345);
    let signalling = f32::from_bits(0x7f80_0001);
    let gradients = [f32::NAN, nan_payload, signalling, f32::INFINITY, f32::NEG_INFINITY, 1.9e19, -f32::MAX];
    let places = [(0, 0), (0, 999), (1, 2), (2, 4096), (2, 17)];
    for zero_grad in [false, true] {
        // In this run, every third step is skipped.
        let mut run = scene(Options { zero_grad, ..guarded() }).start(&gpu);
        run.steps(&gpu, 3);
        for (skipped, (gradient, (buffer, at))) in (0..).zip(grid(gradients, places)) {
            let (params, state) = (run.params.clone(), gpu.state(&run.adam).tensors);
            run.fresh_grads();
            run.steps -= 1;
            run.grads[buffer][at] = gradient;
            let report = step(&mut run, &gpu);
            let counts = |report: &Report| (report.t, report.skipped, report.last_skipped);
            assert_eq!(counts(&report), (3 + 2 * skipped, skipped + 1, true), "{gradient}");
            assert_eq!(report.nonfinite_tensor.as_deref(), Some(format!("tensor{buffer}").as_str()), "{gradient}");
            assert_eq!((&run.params, &gpu.state(&run.adam).tensors), (&params, &state), "{gradient}: nothing may move");
            assert_eq!(run.grads.concat().iter().all(|g| *g == 0.0), zero_grad, "{gradient}");
            // The run continues after the skipped step.
            run.steps(&gpu, 2);
            run.assert_same(&gpu);
            let report = gpu.report(&run.adam);
            assert_eq!(counts(&report), (5 + 2 * skipped, skipped + 1, false), "{gradient}");
            assert!(report.groups.iter().all(|g| g.t == report.t));
        }
    }
}

#[test]
fn the_first_of_several_non_finite_tensors_is_named() {
    let gpu = Gpu::new();
    for align in [1, 64] {
        let configs = [Config::default(), Config::default()];
        let mut run = Scene::arena(&[100, 7, 9000, 50, 50], align, &configs, guarded()).start(&gpu);
        for (first, others) in [(4, &[][..]), (2, &[3, 4]), (1, &[2]), (0, &[1, 2, 3, 4])] {
            run.fresh_grads();
            for i in others.iter().chain([&first]) {
                let spot = &run.scene.spots[*i];
                run.grads[0][spot.grad + spot.len - 1] = f32::NAN;
            }
            let report = step(&mut run, &gpu);
            assert_eq!(report.nonfinite_tensor, Some(format!("tensor{first}")), "aligned to {align}");
        }
        assert_eq!(gpu.report(&run.adam).skipped, 4);
    }
}

#[test]
fn gaps_between_tensors_are_ignored() {
    let gpu = Gpu::new();
    let clip = Clip::GlobalNorm(1.0);
    let mut run = Scene::arena(&[10, 100, 3], 64, &[Config::default()], Options { clip, ..guarded() }).start(&gpu);
    run.fresh_grads();
    run.grads[0][10] = f32::NAN;
    run.grads[0][63] = f32::INFINITY;
    let report = step(&mut run, &gpu);
    assert!(!report.last_skipped && report.grad_norm.unwrap().is_finite());
}

#[test]
fn the_norm_neither_overflows_nor_underflows() {
    let gpu = Gpu::new();
    let options = Options { clip: Clip::GlobalNorm(1.0), ..guarded() };
    // If the device flushes numbers below 2^-126 to zero, too many gradients around 1e-37 are lost.
    let smallest = if gpu.flushes { 1e-36_f32 } else { 1e-37 };
    for scale in [smallest, 1e-30, 1e-19, 1e-10, 1.0, 1e10, 1e18, 1e19, 1e25, 1e30, 1e36] {
        let mut run = scene(options.clone()).start(&gpu);
        for grads in &mut run.grads {
            grads.iter_mut().enumerate().for_each(|(i, g)| *g = scale * normal(1, 0, i as u64));
        }
        let want = run.grads.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let report = step(&mut run, &gpu);
        let norm = f64::from(report.grad_norm.unwrap());
        assert!((norm / want - 1.0).abs() < 1e-6, "{scale}: {norm} for {want}");
        let coef = (1.0 / (want + 1e-6)).min(1.0);
        assert!((f64::from(report.clip_coef) / coef - 1.0).abs() < 1e-5, "{scale}: {}", report.clip_coef);
        assert!(!report.last_skipped, "clipped gradients have finite squares");
    }
}

/// The gradients are finite, but their norm is not. Clipping would scale them to zero, and the step would still be
/// counted.
#[test]
fn a_norm_that_overflows_skips_the_step() {
    let gpu = Gpu::new();
    for skip_nonfinite in [true, false] {
        let mut run = scene(Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite, ..Options::default() }).start(&gpu);
        let before = run.params.clone();
        run.grads.iter_mut().for_each(|grads| grads.fill(3e38));
        let report = step(&mut run, &gpu);
        assert_eq!((report.last_skipped, report.nonfinite_tensor.as_deref()), (skip_nonfinite, None));
        assert_eq!((report.grad_norm, report.clip_coef), (Some(f32::INFINITY), 0.0));
        assert_eq!(run.params, before, "skipped, or clipped to zero");
    }
}

/// Some drivers flush numbers below 2^-126 to zero. A coefficient that would be so small is zero on every driver.
#[test]
fn a_denormal_clip_coefficient_is_zero_on_every_driver() {
    let gpu = Gpu::new();
    for (gradient, zero) in [(8e37_f32, false), (9e37, true), (f32::MAX, true)] {
        let mut run = scene(Options { clip: Clip::GlobalNorm(1.0), ..guarded() }).start(&gpu);
        run.grads.iter_mut().for_each(|grads| grads.fill(0.0));
        run.grads[0][3] = gradient;
        let report = step(&mut run, &gpu);
        assert_eq!(report.grad_norm, Some(gradient));
        assert_eq!((report.clip_coef == 0.0, report.clip_coef.is_subnormal()), (zero, false), "{}", report.clip_coef);
        run.assert_same(&gpu);
    }
}

/// The gradients lie on both sides of the boundaries for small and for big gradients. The norm must include both sides.
#[test]
fn the_norm_includes_gradients_of_all_magnitudes() {
    let gpu = Gpu::new();
    let options = Options { clip: Clip::GlobalNorm(1.0), ..guarded() };
    for scales in [[8e-13_f32, 1e-12, 9e-13], [6e13, 8e13, 7e13], [1e-20, 1.0, 1e-25], [1e-3, 2e10, 3e16]] {
        let mut run = scene(options.clone()).start(&gpu);
        for (grads, scale) in run.grads.iter_mut().zip(scales) {
            grads.fill(scale);
        }
        let want = run.grads.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let norm = f64::from(step(&mut run, &gpu).grad_norm.unwrap());
        assert!((norm / want - 1.0).abs() < 1e-6, "{scales:?}: {norm} for {want}");
    }
}

/// Without the guard, a finite gradient whose square overflows must not make v infinite, which would freeze the weight
/// forever.
#[test]
fn a_huge_gradient_does_not_freeze_a_weight() {
    let gpu = Gpu::new();
    for huge in [1.9e19_f32, -1e25, f32::MAX] {
        let mut run = Scene::scattered(&[5, 8], &[Config::default()], Options::default()).start(&gpu);
        let before = run.params.clone();
        for grads in &mut run.grads {
            grads.fill(1.0);
            grads[2] = huge;
        }
        step(&mut run, &gpu);
        for (before, after) in before.iter().zip(&run.params) {
            // One step of size lr against the gradient.
            let moved = after[2] - before[2];
            assert!((moved + 1e-3 * huge.signum()).abs() < 1e-6, "{huge}: {moved}");
        }
        assert!(gpu.state(&run.adam).tensors.iter().all(|t| t.v().iter().all(|v| v.is_finite())));
    }
}

#[test]
fn without_the_guard_a_nan_reaches_the_params() {
    let gpu = Gpu::new();
    for clip in [Clip::None, Clip::GlobalNorm(1.0), Clip::Value(1.0)] {
        let mut run = scene(Options { clip, ..Options::default() }).start(&gpu);
        run.fresh_grads();
        run.grads[0][7] = f32::NAN;
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
        let (got, want) = (gpu.read(&run.param_buffers[0]), &run.params[0]);
        assert!(got[7].is_nan() && want[7].is_nan());
        let all = matches!(clip, Clip::GlobalNorm(_));
        assert_eq!((got[8].is_nan(), want[8].is_nan()), (all, all), "{clip:?}");
        assert!(gpu.report(&run.adam).nonfinite_tensor.is_none());
    }
}

/// WGSL does not define the maximum of a number and a NaN, and drivers differ. On both sides it must be the number.
#[test]
fn without_the_guard_a_maximum_ignores_a_nan_on_every_driver() {
    let gpu = Gpu::new();
    for config in [preset::pytorch::amsgrad(), preset::optax::amsgrad(), preset::pytorch::adamax()] {
        for first in [1.0, f32::INFINITY] {
            let mut run = Scene::scattered(&[8], from_ref(&config), Options::default()).start(&gpu);
            for gradient in [first, f32::NAN, 1.0] {
                run.fresh_grads();
                run.grads[0][..4].fill(gradient);
                step(&mut run, &gpu);
            }
            run.assert_same(&gpu);
            assert!(gpu.read(&run.param_buffers[0])[0].is_nan(), "the NaN must still reach the param");
        }
    }
}

/// v underflows to zero for a tiny gradient. The step must still stay within its bound.
#[test]
fn tiny_gradients_with_a_tiny_eps_make_bounded_steps() {
    let gpu = Gpu::new();
    for eps in [0.0, 1e-15, 1e-30] {
        let configs = [Config { lr: 1.0, eps, ..Config::default() }];
        let bound = 0.1 / 0.001f32.sqrt();
        for scale in [0.0, 1e-45, 1e-38, 1e-30, 1e-22, 1e-20, 1e-19, 1e-18, 1e-12] {
            let mut run = Scene::scattered(&[64], &configs, Options::default()).start(&gpu);
            for t in 0..20 {
                let before = run.params[0].clone();
                run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = scale * normal(t, 0, i as u64));
                run.upload_grads(&gpu);
                gpu.step(&run.adam);
                let values = gpu.read(&run.param_buffers[0]);
                for (before, after) in before.iter().zip(&values) {
                    assert!((after - before).abs() <= 1.01 * bound, "eps {eps}, {scale}: {before} became {after}");
                    assert!(scale != 0.0 || before == after, "zero gradients must move nothing");
                }
                run.params[0] = values;
            }
        }
    }
}

/// A step with a NaN is skipped only so often in a row. The count is part of the state.
#[test]
fn skips_in_a_row_are_counted_and_limited() {
    let gpu = Gpu::new();
    for limit in [None, Some(0), Some(2)] {
        let options = Options { max_skipped_in_a_row: limit, ..guarded() };
        let scene = Scene::scattered(&[5, 8], &[Config::default()], options);
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 2);
        let mut skipped = Vec::new();
        for t in 0..6 {
            run.fresh_grads();
            // A finite gradient ends the row.
            if t != 1 {
                run.grads[0][3] = f32::NAN;
            }
            if t == 3 {
                let state = wgpu_adam::State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
                assert_eq!(state, gpu.state(&run.adam));
                let params = run.params.clone();
                run = Run { params, grads: run.grads.clone(), steps: run.steps, ..scene.start(&gpu) };
                run.param_buffers.iter().zip(&run.params).for_each(|(buffer, values)| gpu.write(buffer, values));
                pollster::block_on(run.adam.load_state(&state)).unwrap();
                run.twin.load_state(&state).unwrap();
            }
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
            run.twin_step();
            let (report, twin) = (gpu.report(&run.adam), run.twin.report());
            assert_eq!(report.skipped_in_a_row, twin.skipped_in_a_row);
            assert_eq!(report.last_skipped, twin.last_skipped);
            skipped.push(report.skipped_in_a_row);
        }
        let (want, last) = match limit {
            None => ([1, 0, 1, 2, 3, 4], false),
            Some(0) => ([0; 6], true),
            _ => ([1, 0, 1, 2, 0, 1], true),
        };
        assert_eq!(skipped, want, "{limit:?}");
        assert_eq!(gpu.read(&run.param_buffers[0])[3].is_nan(), last, "{limit:?}");
        assert_eq!(run.params[0][3].is_nan(), last);
    }
}
