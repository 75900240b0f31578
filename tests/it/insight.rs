//! The measurements of a probe: GPU and twin agree to the last bit on a CPU adapter, and both agree with float64.

use std::slice::from_ref;

use crate::sampling::sample;
use crate::scene::variants::{uncorrected, variants};
use crate::scene::{Gpu, Run, Scene, Spot, mix, normal};
use wgpu::Limits;
use wgpu_adam::preset::pytorch;
use wgpu_adam::probe::{Insight, Measures, Snr};
use wgpu_adam::{Adam, Clip, Config, Decay, Error, Group, Options, Probe, Tensor, Variant, View};

const LENS: [usize; 8] = [1, 2, 3, 5, 255, 257, 4097, 1000];

fn guarded() -> Options {
    Options { skip_nonfinite: true, zero_grad: true, clip: Clip::GlobalNorm(1.0), ..Options::default() }
}

fn all_options() -> [Options; 3] {
    [
        Options::default(),
        guarded(),
        Options { clip: Clip::Value(0.5), skip_nonfinite: false, zero_grad: false, ..Options::default() },
    ]
}

/// Makes some steps, then two measured ones. Both sides must measure the same, and the measurement must not change the
/// step.
fn check(gpu: &Gpu, scene: &Scene) -> Insight {
    let mut run = scene.start(gpu);
    let probe = Probe::new(&run.adam).unwrap();
    run.steps(gpu, 3);
    run.fresh_grads();
    measured(&mut run, gpu, &probe);
    run.fresh_grads();
    let insight = measured(&mut run, gpu, &probe);
    run.steps(gpu, 1);
    run.assert_same(gpu);
    let counted: u64 = insight.tensors.iter().map(|tensor| tensor.measures.elements).sum();
    assert_eq!(
        counted,
        scene.spots.iter().map(|spot| spot.len as u64).sum::<u64>(),
        "each element must be counted once"
    );
    assert_eq!(insight.all.elements, counted);
    insight
}

/// Makes one measured step on both sides with the current gradients.
fn measured(run: &mut Run, gpu: &Gpu, probe: &Probe) -> Insight {
    let (got, want) = run.measured_step(gpu, probe);
    if gpu.software {
        // As text, so that a NaN equals a NaN.
        assert_eq!(format!("{got:#?}"), format!("{want:#?}"), "{:?}", run.scene);
        return got;
    }
    assert_eq!((got.t, got.skipped), (want.t, want.skipped));
    for (got, want) in numbers(&got).into_iter().zip(numbers(&want)) {
        // The roots and divisions of an element are within 10 ulp, and the sums are far more exact. But a moment may be
        // the small difference of large numbers.
        assert!(got == want || (got - want).abs() <= 1e-4 * want.abs(), "{got} for {want}");
    }
    got
}

/// All numbers of an insight except the histograms: an element may be on either side of an edge.
fn numbers(insight: &Insight) -> Vec<f64> {
    let of = |m: &Measures| {
        let step = m.step.map_or([-1.0; 2], |step| [step.largest, step.rms]);
        let snr = m.snr.map_or(-1.0, |snr| snr.mean);
        let counts = [m.elements, m.zero_grads, m.nonfinite_grads].map(|count| count as f64);
        [&counts[..], &step, &[snr, m.grad_norm, m.param_rms, m.update_rms]].concat()
    };
    let tensors = insight.tensors.iter().map(|tensor| of(&tensor.measures));
    tensors.chain([of(&insight.all)]).flatten().collect()
}

#[test]
fn gpu_and_twin_measure_every_layout_alike() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 3e-3, decay: Decay::Decoupled(0.1), ..Config::default() }];
    for options in all_options() {
        check(&gpu, &Scene::scattered(&LENS, &configs, options.clone()));
        check(&gpu, &Scene::scattered(&[100_003], &configs[..1], options.clone()));
        for align in [1, 4, 64] {
            check(&gpu, &Scene::arena(&LENS, align, &configs, options.clone()));
        }
        for (len, param, grad) in [(10, (1, 5), (5, 1)), (1001, (63, 64), (127, 0)), (20_000, (0, 0), (3, 1))] {
            check(&gpu, &Scene::offset(len, param, grad, configs[1].clone(), options.clone()));
        }
    }
}

#[test]
fn gpu_and_twin_measure_every_variant_alike() {
    let gpu = Gpu::new();
    for config in sample(variants()) {
        // Only rules with both moments have a ratio.
        let has_snr = matches!(
            config.variant,
            Variant::Adam
                | Variant::AmsGrad { .. }
                | Variant::NAdam { .. }
                | Variant::RAdam { .. }
                | Variant::AdaBelief
                | Variant::AdEmaMix { .. }
                | Variant::Lamb
                | Variant::Stable
                | Variant::Cautious
        );
        let l2 = Config { decay: Decay::L2(0.1), maximize: true, ..config };
        let decoupled = uncorrected(Config { decay: Decay::Decoupled(0.1), ..config });
        for (config, options) in [(config, Options::default()), (l2, guarded()), (decoupled, guarded())] {
            let insight = check(&gpu, &Scene::scattered(&[1000, 257], from_ref(&config), options));
            assert_eq!(insight.all.snr.is_some(), has_snr, "{config:?}");
            assert!(insight.all.step.unwrap().rms > 0.0);
        }
    }
}

#[test]
fn split_tensors_are_measured_as_a_whole() {
    let limits = Limits {
        max_storage_buffer_binding_size: 16 << 10,
        max_compute_workgroups_per_dimension: 4,
        ..Limits::default()
    };
    let gpu = Gpu::with(limits);
    let configs = [Config::default(), Config { lr: 0.01, ..Config::default() }];
    for options in all_options() {
        for (len, param, grad) in [(20_000, (0, 0), (0, 0)), (20_001, (17, 2), (77, 2)), (9001, (1, 0), (2, 0))] {
            check(&gpu, &Scene::offset(len, param, grad, configs[0].clone(), options.clone()));
        }
        check(&gpu, &Scene::arena(&[1, 8000, 3, 9001, 40, 7], 1, &configs, options));
    }
}

#[test]
fn param_and_grad_may_share_a_buffer() {
    let gpu = Gpu::new();
    let values: Vec<f32> = (0..3000).map(|i| normal(3, 0, i)).collect();
    let buffer = gpu.buffer(&values);
    let view = |at| View::f32(&buffer).slice(at..at + 1000);
    let tensors = vec![Tensor::new("shared", view(2000), view(0))];
    let adam =
        Adam::new(&gpu.device, &gpu.queue, &[Group::new(Config::default(), tensors)], Options::default()).unwrap();
    let probe = Probe::new(&adam).unwrap();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    probe.step(&adam, &mut encoder).unwrap();
    gpu.queue.submit([encoder.finish()]);
    let insight = pollster::block_on(probe.read(&adam)).unwrap();
    // In the first step all ratios are 1, and all steps are lr.
    let (snr, step) = (insight.all.snr.unwrap(), insight.all.step.unwrap());
    assert!((snr.mean - 1.0).abs() < 1e-6 && snr.histogram.iter().sum::<u64>() == 1000, "{snr:?}");
    assert!((step.rms - 1.0).abs() < 1e-4 && (step.largest - 1.0).abs() < 1e-6, "{step:?}");
}

/// The values in float64 from the same moments, gradients and params, by the formulas of the paper.
struct Want {
    snr: Vec<f64>,
    step: Vec<f64>,
    update: Vec<f64>,
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, x| x.abs().max(most))
}

fn close(got: f64, want: f64, what: &str) {
    assert!((got / want - 1.0).abs() < 2e-6, "{what}: {got} for {want}");
}

#[test]
fn measures_agree_with_float64() {
    let gpu = Gpu::new();
    let configs = [
        Config { lr: 0.01, eps: 1e-6, decay: Decay::Decoupled(0.1), ..Config::default() },
        Config { lr: 0.03, beta1: 0.8, beta2: 0.99, eps_root: 1e-9, ..Config::default() },
    ];
    for zero_grad in [false, true] {
        let options = Options { zero_grad, skip_nonfinite: true, ..Options::default() };
        let mut run = Scene::arena(&[3000, 17, 40_001, 5], 4, &configs, options).start(&gpu);
        let probe = Probe::new(&run.adam).unwrap();
        run.steps(&gpu, 20);
        run.fresh_grads();
        let (params, grads) = (run.params[0].clone(), run.grads[0].clone());
        let got = measured(&mut run, &gpu, &probe);
        assert_eq!((got.t, got.skipped), (21, false));
        let state = gpu.state(&run.adam);

        let (mut snrs, mut steps, mut updates) = (Vec::new(), Vec::new(), Vec::new());
        let (mut all_params, mut all_grads) = (Vec::new(), Vec::new());
        for (i, spot) in run.scene.order().into_iter().enumerate() {
            let config = &run.scene.configs[spot.group];
            let correction = |beta: f64| 1.0 - beta.powi(21);
            let weight_decay = if let Decay::Decoupled(decay) = config.decay { decay } else { 0.0 };
            let param: Vec<f64> = params[spot.param..][..spot.len].iter().map(|x| f64::from(*x)).collect();
            let grad: Vec<f64> = grads[spot.grad..][..spot.len].iter().map(|x| f64::from(*x)).collect();
            let mut want = Want { snr: Vec::new(), step: Vec::new(), update: Vec::new() };
            for (e, param) in param.iter().enumerate() {
                let m_hat = f64::from(state.tensors[i].m()[e]) / correction(config.beta1);
                let v_hat = f64::from(state.tensors[i].v()[e]) / correction(config.beta2);
                let step = m_hat / ((v_hat + config.eps_root).sqrt() + config.eps);
                want.snr.push(m_hat.abs() / v_hat.sqrt());
                want.step.push(step);
                want.update.push(config.lr * (step + weight_decay * param));
            }
            let measures = &got.tensors[i].measures;
            assert_eq!(got.tensors[i].name, state.tensors[i].name);
            compare(measures, &want, &param, &grad);
            snrs.extend(want.snr);
            steps.extend(want.step);
            updates.extend(want.update);
            all_params.extend(param);
            all_grads.extend(grad);
        }
        let want = Want { snr: snrs, step: steps, update: updates };
        compare(&got.all, &want, &all_params, &all_grads);
    }
}

fn compare(measures: &Measures, want: &Want, param: &[f64], grad: &[f64]) {
    let (snr, step) = (measures.snr.unwrap(), measures.step.unwrap());
    assert_eq!(measures.elements, param.len() as u64);
    assert_eq!(measures.zero_grads, grad.iter().filter(|g| **g == 0.0).count() as u64);
    assert_eq!(measures.nonfinite_grads, 0);
    close(measures.grad_norm, grad.iter().map(|g| g * g).sum::<f64>().sqrt(), "gradient norm");
    close(measures.param_rms, rms(param), "param rms");
    close(measures.update_rms, rms(&want.update), "update rms");
    close(measures.update_ratio().unwrap(), rms(&want.update) / rms(param), "update ratio");
    close(step.rms, rms(&want.step), "step rms");
    close(step.largest, largest(&want.step), "largest step");
    close(snr.mean, want.snr.iter().sum::<f64>() / want.snr.len() as f64, "mean SNR");
    // The counts below each edge are exact, except for elements that f32 may round across the edge.
    let mut below = 0;
    for (edge, count) in Snr::EDGES.iter().zip(snr.histogram) {
        below += count;
        let least = want.snr.iter().filter(|x| **x < edge * (1.0 - 1e-6)).count() as u64;
        let most = want.snr.iter().filter(|x| **x < edge * (1.0 + 1e-6)).count() as u64;
        assert!((least..=most).contains(&below), "below {edge}: {below}, not {least} to {most}");
    }
    assert_eq!(snr.histogram.iter().sum::<u64>(), want.snr.len() as u64);
}

#[test]
fn each_ratio_is_in_the_bin_between_its_edges() {
    assert_eq!((Snr::EDGES[0], Snr::EDGES[12], Snr::EDGES[14]), (1.0 / 4096.0, 1.0, 4.0));
    let gpu = Gpu::new();
    // Without momentum, v moves halfway to g^2, so the ratio is g / sqrt(v / 2 + g^2 / 2). Here v is 1 after 64 steps
    // with gradient 1.
    let config = Config { beta1: 0.0, beta2: 0.5, ..Config::default() };
    let ratios: Vec<f64> = (-14..2).map(|k| 1.5 * 2f64.powi(k)).filter(|r| *r < 1.414).collect();
    let mut run = Scene::scattered(&[ratios.len()], &[config], Options::default()).start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    run.grads[0].fill(1.0);
    run.upload_grads(&gpu);
    for _ in 0..64 {
        gpu.step(&run.adam);
        run.twin_step();
    }
    for (g, r) in run.grads[0].iter_mut().zip(&ratios) {
        *g = (r * r / (2.0 - r * r)).sqrt() as f32;
    }
    let snr = measured(&mut run, &gpu, &probe).all.snr.unwrap();
    assert_eq!(snr.histogram, [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    close(snr.mean, ratios.iter().sum::<f64>() / ratios.len() as f64, "mean");
}

#[test]
fn a_skipped_step_is_measured_as_skipped() {
    let gpu = Gpu::new();
    for gradient in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.9e19] {
        let options = Options { skip_nonfinite: true, ..Options::default() };
        let mut run = Scene::scattered(&[100, 5000], &[Config::default()], options).start(&gpu);
        let probe = Probe::new(&run.adam).unwrap();
        run.steps(&gpu, 2);
        run.fresh_grads();
        run.grads[1][4321] = gradient;
        let insight = measured(&mut run, &gpu, &probe);
        assert_eq!((insight.t, insight.skipped), (2, true));
        for measures in [&insight.all, &insight.tensors[0].measures, &insight.tensors[1].measures] {
            assert_eq!((measures.step, measures.snr, measures.update_rms), (None, None, 0.0));
            assert!(measures.param_rms > 0.0);
        }
        let counts = insight.tensors.iter().map(|tensor| tensor.measures.nonfinite_grads).collect::<Vec<_>>();
        assert_eq!(counts, [0, u64::from(!gradient.is_finite())]);
        assert_eq!(insight.all.nonfinite_share(), insight.all.nonfinite_grads as f64 / 5100.0);
        // The finite gradients still have a norm.
        assert!(insight.all.grad_norm.is_finite() && insight.all.grad_norm > 0.0);
        // A new t is measured at once, even if the step is skipped.
        run.adam.set_t(77).unwrap();
        run.twin.set_t(77);
        run.fresh_grads();
        run.grads[0][0] = gradient;
        assert_eq!(measured(&mut run, &gpu, &probe).t, 77);
    }
}

#[test]
fn without_the_guard_non_finite_gradients_show_in_the_measures() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100, 5000], &[Config::default()], Options::default()).start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    run.steps(&gpu, 2);
    run.grads[0].fill(1.0);
    run.grads[1].fill(1.0);
    run.grads[1][77] = f32::NAN;
    run.grads[1][4321] = f32::INFINITY;
    let (got, want) = run.measured_step(&gpu, &probe);
    for insight in [got, want] {
        let [finite, nonfinite] = [0, 1].map(|i| insight.tensors[i].measures.clone());
        assert!(finite.step.unwrap().rms.is_finite() && finite.update_rms.is_finite());
        assert_eq!((nonfinite.nonfinite_grads, insight.all.nonfinite_grads), (2, 2));
        for measures in [&nonfinite, &insight.all] {
            let step = measures.step.unwrap();
            assert!(step.rms.is_nan() && step.largest.is_nan() && measures.update_rms.is_nan());
            assert!(measures.param_rms.is_finite(), "before the step the params are finite");
            let snr = measures.snr.unwrap();
            assert!(snr.mean.is_finite());
            assert_eq!(snr.histogram.iter().sum::<u64>(), measures.elements - 2);
        }
    }
    run.fresh_grads();
    let (got, want) = run.measured_step(&gpu, &probe);
    assert!(got.all.param_rms.is_nan() && want.all.param_rms.is_nan(), "after the step they are not finite");
}

#[test]
fn sums_of_squares_neither_overflow_nor_underflow() {
    let gpu = Gpu::new();
    let options = Options { clip: Clip::GlobalNorm(1.0), ..Options::default() };
    for scale in [3e-38_f32, 1e-30, 1e-19, 1e-10, 1.0, 1e10, 1e19, 1e30, 3e37] {
        let configs = [Config { decay: Decay::Decoupled(0.1), ..Config::default() }];
        let mut run = Scene::scattered(&[9000, 4], &configs, options.clone()).start(&gpu);
        let probe = Probe::new(&run.adam).unwrap();
        // The values are away from zero, so that none is denormal.
        let wide = |stream, i: usize| scale * (1.0 + normal(1, stream, i as u64).abs());
        for (values, stream) in [(&mut run.params, 1), (&mut run.grads, 2)] {
            values.iter_mut().for_each(|values| values.iter_mut().enumerate().for_each(|(i, x)| *x = wide(stream, i)));
        }
        run.grads[0][17] = 0.0;
        run.param_buffers.iter().zip(&run.params).for_each(|(buffer, values)| gpu.write(buffer, values));
        let [params, grads] = [&run.params, &run.grads].map(|values| values.concat().into_iter().map(f64::from));
        let (params, grads): (Vec<f64>, Vec<f64>) = (params.collect(), grads.collect());
        // m is denormal for the smallest gradients, and a device may flush it to zero.
        let lost = scale < 1e-37 && gpu.flushes;
        let insight = if lost { run.measured_step(&gpu, &probe).0 } else { measured(&mut run, &gpu, &probe) };
        close(insight.all.param_rms, rms(&params), "param rms");
        close(insight.all.grad_norm, rms(&grads) * (grads.len() as f64).sqrt(), "gradient norm");
        let after: Vec<f64> = run.params.concat().into_iter().map(f64::from).collect();
        let moved: Vec<f64> = after.iter().zip(&params).map(|(after, before)| after - before).collect();
        // The differences of params contain roundings that the measured update does not.
        let rounding = f64::from(scale) * 2f64.powi(-22) + 1e-6 * rms(&moved);
        let off = (insight.all.update_rms - rms(&moved)).abs();
        assert!(off <= rounding || lost, "{scale}: {} for {}", insight.all.update_rms, rms(&moved));
        assert_eq!((insight.all.zero_grads, insight.all.nonfinite_grads), (1, 0));
    }
}

#[test]
fn zero_gradients_have_no_ratio_and_lr_0_has_no_step() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 0.0, ..Config::default() }];
    let mut run = Scene::scattered(&[100, 100, 100], &configs, Options::default()).start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    run.fresh_grads();
    run.grads[0].fill(0.0);
    run.grads[2][..50].fill(0.0);
    run.grads[2][50..].fill(1.0);
    run.grads[1].fill(1.0);
    let insight = measured(&mut run, &gpu, &probe);
    let [silent, half, still] = [0, 1, 2].map(|i| insight.tensors[i].measures.clone());
    assert_eq!(insight.tensors.iter().map(|t| &t.name[..]).collect::<Vec<_>>(), ["tensor0", "tensor2", "tensor1"]);
    assert_eq!((silent.snr, silent.zero_share(), silent.step.unwrap().rms), (None, 1.0, 0.0));
    let histogram = half.snr.unwrap().histogram;
    assert_eq!((half.zero_share(), histogram.iter().sum::<u64>()), (0.5, 50));
    close(half.step.unwrap().rms, 0.5f64.sqrt(), "half of the elements step by lr");
    assert_eq!((still.step, still.update_rms), (None, 0.0));
    close(still.snr.unwrap().mean, 1.0, "the gradients still have a ratio");
    // The mean is over the tensors with a learning rate.
    close(insight.all.step.unwrap().rms, 0.5, "a quarter of the elements step by lr");
}

/// The moments meet the worst sequences: noise over nine orders of magnitude, then zeros, then growth.
#[test]
fn no_step_exceeds_its_bound() {
    let gpu = Gpu::new();
    let adam = |beta1, beta2| Config { beta1, beta2, eps: 0.0, ..Config::default() };
    let rmsprop =
        |momentum| Variant::RmsProp { momentum, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: false };
    for (config, growth) in [
        (adam(0.9, 0.999), 0.999 / 0.9),
        (adam(0.9, 0.99), 0.99 / 0.9),
        (adam(0.0, 0.9), 1e3),
        (Config { variant: Variant::AmsGrad { of_corrected: false }, ..adam(0.9, 0.999) }, 0.999 / 0.9),
        (Config { variant: Variant::AmsGrad { of_corrected: true }, ..adam(0.9, 0.999) }, 0.999 / 0.9),
        // Shrinking gradients reach this bound.
        (Config { variant: Variant::AdaMax, ..adam(0.9, 0.95) }, 0.95),
        (Config { variant: rmsprop(0.0), bias_correction: false, ..adam(0.9, 0.99) }, 1e3),
        (Config { variant: rmsprop(0.9), ..adam(0.9, 0.99) }, 1e3),
        (Config { variant: Variant::AdaGrad { lr_decay: 0.0, initial: 0.0 }, ..adam(0.9, 0.999) }, 1e3),
        (Config { variant: Variant::Lion, beta2: 0.99, ..Config::default() }, 1.0),
    ] {
        let mut run = Scene::scattered(&[300], from_ref(&config), Options::default()).start(&gpu);
        let probe = Probe::new(&run.adam).unwrap();
        let bound = config.step_bound().unwrap();
        let mut most: f64 = 0.0;
        let mut most_of = |insight: &Insight, what: &str| {
            let step = insight.all.step.unwrap();
            assert_eq!((step.bound, step.paper_bound), (Some(bound), config.paper_bound()));
            assert!(step.largest <= bound * (1.0 + 1e-4), "{config:?}, {what}: {} above {bound}", step.largest);
            assert!(step.rms <= step.largest * (1.0 + 1e-6), "{what}: {step:?}");
            most = most.max(step.largest);
        };
        for t in 0..60_u64 {
            for (i, g) in run.grads[0].iter_mut().enumerate() {
                *g = normal(t, 0, i as u64) * 10f32.powi((mix(t ^ (i as u64) << 32) % 9) as i32 - 4);
            }
            most_of(&measured(&mut run, &gpu, &probe), "noise");
        }
        run.adam.set_t(100_000).unwrap();
        run.twin.set_t(100_000);
        for t in 0..if growth == 1e3 { 3 } else { 200 } {
            run.grads[0].fill((1e5 * f64::powi(growth, t)) as f32);
            most_of(&measured(&mut run, &gpu, &probe), "growth");
        }
        // Each rule comes near its bound, except the one that needs many single gradients in succession.
        let near = matches!(config.variant, Variant::RmsProp { momentum: 0.9, .. });
        assert!(near || most > 0.98 * bound, "{config:?}: the largest step is {most}, the bound {bound}");
    }
}

#[test]
fn some_rules_have_no_bound() {
    let config = |variant, beta1, beta2| Config { variant, beta1, beta2, ..Config::default() };
    assert_eq!(config(Variant::Adam, 0.9, 0.81).step_bound(), None, "no bound unless beta1^2 < beta2");
    assert_eq!(config(Variant::AdaMax, 0.9, 0.9).step_bound(), None);
    let centered = pytorch::rmsprop_centered().variant;
    for variant in
        [Variant::RAdam { eps_on_raw: true }, Variant::AdaBelief, Variant::NAdam { momentum_decay: None }, centered]
    {
        assert_eq!((config(variant, 0.9, 0.999).step_bound(), config(variant, 0.9, 0.999).paper_bound()), (None, None));
    }
    // The second case of the paper.
    assert!((config(Variant::Adam, 0.9, 0.9).paper_bound().unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn a_probe_belongs_to_one_optimizer() {
    let gpu = Gpu::new();
    let scene = Scene::scattered(&[10], &[Config::default()], Options::default());
    let (one, other) = (scene.start(&gpu), scene.start(&gpu));
    let probe = Probe::new(&one.adam).unwrap();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    assert_eq!(probe.step(&other.adam, &mut encoder), Err(Error::OtherOptimizer));
    gpu.queue.submit([encoder.finish()]);
    assert_eq!(gpu.report(&other.adam).t, 0, "nothing may be recorded");
    assert_eq!(gpu.read(&other.param_buffers[0]), other.params[0]);
}

#[test]
fn a_reset_tensor_is_measured_by_its_own_clock() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[300, 1001, 40], &[Config::default()], Options::default()).start(&gpu);
    let old = Probe::new(&run.adam).unwrap();
    run.steps(&gpu, 5);
    run.adam.reset(&["tensor1"]).unwrap();
    run.twin.reset(&["tensor1"]).unwrap();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    assert_eq!(old.step(&run.adam, &mut encoder), Err(Error::OtherOptimizer));
    let read = pollster::block_on(old.read(&run.adam));
    assert_eq!(read, Err(Error::OtherOptimizer));
    let probe = Probe::new(&run.adam).unwrap();
    run.fresh_grads();
    let insight = measured(&mut run, &gpu, &probe);
    let means = [0, 1, 2].map(|i| insight.tensors[i].measures.snr.unwrap().mean);
    assert_eq!(insight.t, 6);
    assert!((means[1] - 1.0).abs() < 1e-6 && means[0] < 0.9 && means[2] < 0.9, "{means:?}");
}

#[test]
fn limits_that_are_too_small_are_named() {
    let error = |limits: Limits, lens: &[usize]| {
        let gpu = Gpu::with(limits);
        let run = Scene::scattered(lens, &[Config::default()], Options::default()).start(&gpu);
        Probe::new(&run.adam).err().map(|error| error.to_string())
    };
    // The optimizer and its clock need only 4.
    let limits = Limits { max_storage_buffers_per_shader_stage: 5, ..Limits::default() };
    let want = "the device's limit max_storage_buffers_per_shader_stage is 5, but 6 is needed";
    assert_eq!(error(limits, &[8]).as_deref(), Some(want));
    let limits = Limits { max_compute_workgroup_storage_size: 12_000, ..Limits::default() };
    let want = "the device's limit max_compute_workgroup_storage_size is 12000, but 13376 is needed";
    assert_eq!(error(limits, &[8]).as_deref(), Some(want));
    let small = Limits { max_storage_buffer_binding_size: 1024, ..Limits::default() };
    assert_eq!(error(small.clone(), &[8]), None);
    let error = error(small, &[8; 20]).unwrap();
    assert!(error.starts_with("the device's limit max_storage_buffer_binding_size is 1024, but "), "{error}");
}

#[test]
fn an_insight_requested_early_describes_its_own_step() {
    let gpu = Gpu::new();
    let run = Scene::scattered(&[100], &[Config::default()], Options::default()).start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    let before = pollster::block_on(probe.read(&run.adam)).unwrap();
    assert_eq!((before.t, before.all.snr, before.all.step), (0, None, None));
    run.upload_grads(&gpu);
    let mut futures = Vec::new();
    for _ in 0..3 {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        probe.step(&run.adam, &mut encoder).unwrap();
        // The same submission contains a step that is not measured.
        run.adam.step(&mut encoder);
        gpu.queue.submit([encoder.finish()]);
        futures.push(probe.read(&run.adam));
    }
    let ts: Vec<u32> = futures.into_iter().map(|future| pollster::block_on(future).unwrap().t).collect();
    assert_eq!(ts, [1, 3, 5]);
}

#[test]
fn a_tensor_may_have_more_workgroups_than_the_finish_has_invocations() {
    // 256 workgroups cover 2,097,152 elements. With more, some invocations of the finish add two records.
    let gpu = Gpu::new();
    let spot = |param, len| Spot::f32(0, (0, 0), param, param, len);
    let len = 256 * 8192 + 5000;
    let scene = Scene {
        params: vec![len + 100],
        grads: vec![len + 100],
        spots: vec![spot(0, 3), spot(3, len), spot(len + 3, 97)],
        configs: vec![Config::default()],
        clips: Vec::new(),
        options: Options::default(),
    };
    let mut run = scene.start(&gpu);
    let probe = Probe::new(&run.adam).unwrap();
    let insight = measured(&mut run, &gpu, &probe);
    assert_eq!(insight.tensors[1].measures.elements, len as u64);
    // In the first step all ratios are 1, or slightly below 1 because of rounding.
    let histogram = insight.all.snr.unwrap().histogram;
    assert_eq!(histogram[12] + histogram[13] + insight.all.zero_grads, len as u64 + 100);
}
