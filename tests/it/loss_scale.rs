//! The loss scale on the device: it moves like PyTorch's GradScaler, and its effect on the gradients is removed
//! completely.

use crate::scene::{Gpu, Run, Scene, assert_same, mix};
use half::f16;
use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{Buffer, BufferUsages};
use wgpu_adam::state::LossScaleState;
use wgpu_adam::{Adam, Clip, Config, Decay, Dtype, Error, Group, LossScale, Options, Probe, State, Tensor, View, cpu};

/// The `update` of `torch.amp.GradScaler`: the scale is an f32, and its factors are not. The two bounds are ours.
struct Model {
    options: LossScale,
    scale: f32,
    growth_tracker: u32,
}

impl Model {
    fn new(options: LossScale) -> Self {
        Self { options: options.clone(), scale: options.initial as f32, growth_tracker: 0 }
    }

    fn update(&mut self, found_inf: bool) {
        if found_inf {
            self.scale = ((f64::from(self.scale) * self.options.backoff_factor) as f32).max(2f32.powi(-64));
            self.growth_tracker = 0;
            return;
        }
        self.growth_tracker += 1;
        if self.growth_tracker == self.options.growth_interval {
            let grown = (f64::from(self.scale) * self.options.growth_factor) as f32;
            if grown <= 2f32.powi(64) {
                self.scale = grown;
            }
            self.growth_tracker = 0;
        }
    }
}

fn scaled(loss_scale: LossScale) -> Options {
    Options { loss_scale: Some(loss_scale), ..Options::default() }
}

/// A loss scale that grows often.
fn restless() -> LossScale {
    LossScale { growth_interval: 3, ..LossScale::default() }
}

/// The loss scale on the device.
fn held(gpu: &Gpu, adam: &Adam) -> f32 {
    gpu.read(adam.loss_scale_buffer().unwrap())[0]
}

/// Scales the gradients on both sides.
fn scale_grads(run: &mut Run, scale: f32) {
    run.grads.iter_mut().flatten().for_each(|g| *g *= scale);
}

#[test]
fn the_defaults_match_pytorch() {
    let LossScale { initial, growth_factor, backoff_factor, growth_interval } = LossScale::default();
    assert_eq!((initial, growth_factor, backoff_factor, growth_interval), (65_536.0, 2.0, 0.5, 2000));
}

#[test]
fn the_scale_moves_like_pytorchs() {
    let gpu = Gpu::new();
    let two = |k| 2f64.powi(k);
    for (initial, growth_factor, backoff_factor, growth_interval, every) in [
        (65_536.0, 2.0, 0.5, 3, 7),
        (1.0, 1.5, 0.25, 1, 4),
        (12.0, 2.0, 0.5, 2, 3),
        // Up to the largest scale, where it stays, and a growth that would exceed it.
        (two(61), 2.0, 0.5, 1, 99),
        (two(63), 3.0, 0.5, 1, 99),
        // Down to the smallest scale.
        (two(-62), 2.0, 0.5, 50, 2),
        (two(-64), 2.0, 0.75, 5, 2),
    ] {
        let options = LossScale { initial, growth_factor, backoff_factor, growth_interval };
        let mut run = Scene::scattered(&[5, 300], &[Config::default()], scaled(options.clone())).start(&gpu);
        let mut model = Model::new(options.clone());
        let mut skipped = 0;
        for t in 0..40 {
            run.fresh_grads();
            let found_inf = mix(t).is_multiple_of(every);
            if found_inf {
                run.grads[1][299] = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN][t as usize % 3];
            }
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
            let twin = run.twin_step();
            model.update(found_inf);
            skipped += u32::from(found_inf);
            let report = gpu.report(&run.adam);
            let want = model.scale;
            assert_eq!(held(&gpu, &run.adam), want, "step {t} of {options:?}");
            assert_eq!((report.loss_scale, twin.loss_scale), (Some(want), Some(want)));
            assert_eq!(run.twin.loss_scale(), Some(want));
            assert_eq!((report.skipped, report.last_skipped, report.t), (skipped, found_inf, t as u32 + 1 - skipped));
            assert_eq!((twin.skipped, twin.last_skipped), (skipped, found_inf));
            let growth_tracker = model.growth_tracker;
            assert_eq!(gpu.state(&run.adam).loss_scale, Some(LossScaleState { scale: want, growth_tracker }));
            assert_eq!(report.nonfinite_tensor.is_some(), skipped > 0, "a loss scale implies the guard");
        }
    }
}

#[test]
fn factors_that_f32_lacks_differ_from_pytorchs_by_three_roundings() {
    let mut worst: f64 = 0.0;
    for (growth_factor, backoff_factor, exact) in [(1.7, 0.6, false), (1.1, 0.3, false), (1.5, 0.75, true)] {
        let options = LossScale { growth_interval: 1, growth_factor, backoff_factor, initial: 3_000.0 };
        let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]);
        let mut adam = cpu::Adam::new(&[group], scaled(options.clone())).unwrap();
        for t in 0..200 {
            let found_inf = t % 3 == 0;
            let mut model = Model { options: options.clone(), scale: adam.loss_scale().unwrap(), growth_tracker: 0 };
            model.update(found_inf);
            let grad = if found_inf { f32::INFINITY } else { 1.0 };
            adam.step(&mut [cpu::TensorMut::new(&mut [1.0], &mut [grad])]).unwrap();
            let got = adam.loss_scale().unwrap();
            let miss = (f64::from(got) / f64::from(model.scale) - 1.0).abs();
            assert!(miss <= if exact { 0.0 } else { 3.0 / f64::from(1 << 24) }, "step {t} of {options:?}: {miss:e}");
            worst = worst.max(miss);
        }
    }
    println!("the largest difference is {worst:.1e}");
    assert!(worst > 0.0, "no factor was rounded");
}

#[test]
fn the_buffer_of_the_scale_has_the_usages_that_something_needs() {
    let gpu = Gpu::new();
    let run = Scene::scattered(&[8], &[Config::default()], scaled(LossScale::default())).start(&gpu);
    let usages = run.adam.loss_scale_buffer().unwrap().usage();
    assert_eq!(usages, BufferUsages::UNIFORM | BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST);
}

/// The scales are not powers of two. Infinities come at random. The options include clipping and zeroing, and there are
/// several groups.
#[test]
fn gpu_and_twin_agree_under_a_loss_scale() {
    let gpu = Gpu::new();
    let l2 = Config { decay: Decay::L2(0.1), maximize: true, ..Config::default() };
    for (i, clip) in [Clip::None, Clip::GlobalNorm(0.5), Clip::Value(0.25)].into_iter().enumerate() {
        for initial in [1024.0, 3.0e5] {
            let loss_scale = LossScale { initial, backoff_factor: 0.3, growth_interval: 4, ..LossScale::default() };
            let options = Options { clip, zero_grad: i == 1, skip_nonfinite: i == 2, ..scaled(loss_scale) };
            let mut run = Scene::arena(&[5, 1003, 7, 2501], 1, &[Config::default(), l2.clone()], options).start(&gpu);
            for t in 0..60 {
                run.fresh_grads();
                if mix(t).is_multiple_of(5) {
                    let at = mix(!t) as usize % run.grads[0].len();
                    run.grads[0][at] = f32::INFINITY;
                }
                run.upload_grads(&gpu);
                gpu.step(&run.adam);
                run.twin_step();
            }
            run.assert_same(&gpu);
            let report = run.twin.report();
            assert!((5..30).contains(&report.skipped), "{report:?}");
        }
    }
}

/// Dividing by a power of two changes no bit: parameters, moments and norm are the same as without a scale.
#[test]
fn a_power_of_two_changes_no_bit() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { decay: Decay::L2(0.1), maximize: true, ..Config::default() }];
    for clip in [Clip::None, Clip::GlobalNorm(0.01), Clip::Value(0.01)] {
        let plain = Options { clip, skip_nonfinite: true, ..Options::default() };
        let scale = LossScale { growth_interval: 4, ..LossScale::default() };
        let options = Options { loss_scale: Some(scale), ..plain.clone() };
        let mut without = Scene::scattered(&[1000, 3, 4097], &configs, plain).start(&gpu);
        let mut with = Scene::scattered(&[1000, 3, 4097], &configs, options).start(&gpu);
        for _ in 0..20 {
            // The gradients have magnitudes at which both norms are summed in the same way.
            let scale = held(&gpu, &with.adam);
            without.fresh_grads();
            with.grads = without.grads.clone();
            scale_grads(&mut with, scale);
            for run in [&with, &without] {
                run.upload_grads(&gpu);
                gpu.step(&run.adam);
            }
            let (got, want) = (gpu.report(&with.adam), gpu.report(&without.adam));
            assert_eq!((got.grad_norm, got.clip_coef, got.t), (want.grad_norm, want.clip_coef, want.t), "{clip:?}");
            assert!(!matches!(clip, Clip::GlobalNorm(_)) || want.clip_coef < 1.0);
        }
        assert_eq!(held(&gpu, &with.adam), 65_536.0 * 32.0);
        for (got, want) in with.param_buffers.iter().zip(&without.param_buffers) {
            assert_same(&gpu.read(got), &gpu.read(want), &format!("{clip:?}"));
        }
        assert_eq!(gpu.state(&with.adam).tensors, gpu.state(&without.adam).tensors, "{clip:?}");
    }
}

/// The gradients are large only because of their scale. Their norm and their squares must be the same as without it.
#[test]
fn gradients_made_large_by_the_scale_are_accepted() {
    let gpu = Gpu::new();
    // (A clip to 1 would scale them by less than 2^-126, which is zero.)
    for (exponent, clip) in [(60, Clip::None), (60, Clip::GlobalNorm(1e3)), (40, Clip::Value(1.0))] {
        let loss_scale = LossScale { initial: 2f64.powi(exponent), ..LossScale::default() };
        // Without a loss scale, the guard would skip these steps.
        let options = Options { clip, skip_nonfinite: true, ..scaled(loss_scale) };
        let mut run = Scene::scattered(&[4096], &[Config::default()], options).start(&gpu);
        // The largest gradient is 2^127.
        let largest = 2f32.powi(127 - exponent);
        let grads = |run: &mut Run| {
            for (i, g) in run.grads[0].iter_mut().enumerate() {
                *g = f32::MAX.min(2f32.powi(exponent) * largest * (1.0 - i as f32 / 8192.0));
            }
        };
        grads(&mut run);
        let want = run.grads[0].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() / 2f64.powi(exponent);
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
        run.steps += 1;
        run.assert_same(&gpu);
        let report = gpu.report(&run.adam);
        assert!(!report.last_skipped);
        let norm = f64::from(report.grad_norm.unwrap());
        assert!((norm / want - 1.0).abs() < 1e-6, "{norm} for {want}");
        assert!(gpu.state(&run.adam).tensors[0].v().iter().all(|v| v.is_finite() && *v > 0.0));
    }
}

/// The norm overflows only when the gradients are unscaled, since the scale is below 1.
#[test]
fn a_norm_that_overflows_without_the_scale_skips_the_step() {
    let gpu = Gpu::new();
    for clip in [Clip::None, Clip::GlobalNorm(1.0), Clip::Value(1.0)] {
        let loss_scale = LossScale { initial: 2f64.powi(-20), ..LossScale::default() };
        let options = Options { clip, ..scaled(loss_scale) };
        let mut run = Scene::scattered(&[100], &[Config::default()], options).start(&gpu);
        let before = run.params.clone();
        run.grads[0][7] = 1e35;
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
        run.assert_same(&gpu);
        let report = gpu.report(&run.adam);
        assert!(report.last_skipped && report.nonfinite_tensor.is_none(), "{report:?}");
        assert_eq!((report.grad_norm, report.loss_scale), (Some(f32::INFINITY), Some(2f32.powi(-21))));
        assert_eq!(before, run.params, "{clip:?}");
    }
}

#[test]
fn a_run_resumes_exactly_within_a_growth_interval() {
    let gpu = Gpu::new();
    let scene = Scene::scattered(&[100, 7], &[Config::default()], scaled(restless()));
    let (mut whole, mut first) = (scene.start(&gpu), scene.start(&gpu));
    let step = |run: &mut Run, t: u64| {
        run.fresh_grads();
        if t == 4 {
            run.grads[0][0] = f32::NAN;
        }
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
    };
    for t in 0..14 {
        step(&mut whole, t);
    }
    for t in 0..6 {
        step(&mut first, t);
    }
    let state = State::from_bytes(&gpu.state(&first.adam).to_bytes().unwrap()).unwrap();
    assert_eq!(state.loss_scale, Some(LossScaleState { scale: 65_536.0, growth_tracker: 1 }));
    let mut second = scene.start(&gpu);
    let buffer = second.adam.loss_scale_buffer().unwrap().clone();
    pollster::block_on(second.adam.load_state(&state)).unwrap();
    second.twin.load_state(&first.twin.state()).unwrap();
    assert_eq!(second.adam.loss_scale_buffer(), Some(&buffer), "the caller's bind groups use this buffer");
    second.steps = first.steps;
    for (to, from) in second.param_buffers.iter().zip(&first.param_buffers) {
        gpu.write(to, &gpu.read(from));
    }
    second.params.clone_from(&first.params);
    for t in 6..14 {
        step(&mut second, t);
    }
    second.assert_same(&gpu);
    assert_eq!(gpu.state(&second.adam), gpu.state(&whole.adam));
    assert_same(&gpu.read(&second.param_buffers[0]), &gpu.read(&whole.param_buffers[0]), "params");
}

/// A state without a loss scale comes from an older file, or from an optimizer without one. An optimizer without one
/// also loads a state with one.
#[test]
fn a_state_without_a_scale_restarts_the_scale() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100], &[Config::default()], scaled(restless())).start(&gpu);
    let mut plain = Scene::scattered(&[100], &[Config::default()], Options::default()).start(&gpu);
    let begun = LossScaleState { scale: 65_536.0, growth_tracker: 0 };
    for _ in 0..4 {
        run.step(&gpu);
        plain.step(&gpu);
    }
    let with = gpu.state(&run.adam);
    assert_eq!(with.loss_scale, Some(LossScaleState { scale: 131_072.0, growth_tracker: 1 }));
    let without = gpu.state(&plain.adam).to_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&without).contains("loss_scale"), "the file must look like older files");
    let without = State::from_bytes(&without).unwrap();
    pollster::block_on(run.adam.load_state(&without)).unwrap();
    run.twin.load_state(&without).unwrap();
    assert_eq!((gpu.state(&run.adam).loss_scale, run.twin.state().loss_scale), (Some(begun), Some(begun)));
    pollster::block_on(plain.adam.load_state(&with)).unwrap();
    plain.twin.load_state(&with).unwrap();
    assert_eq!((gpu.state(&plain.adam).loss_scale, plain.twin.state().loss_scale), (None, None));
    for scale in [0.0, -1.0, 1e30, f32::NAN, f32::INFINITY] {
        let mut broken: State = with.clone();
        broken.loss_scale = Some(LossScaleState { scale, ..begun });
        let error = run.twin.load_state(&broken).unwrap_err().to_string();
        assert!(error.contains("the loss scale is") && error.contains("must be from 2^-64 to 2^64"), "{error}");
    }
}

#[test]
fn changing_the_tensors_keeps_the_scale_and_its_buffer() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100, 8], &[Config::default()], scaled(restless())).start(&gpu);
    for _ in 0..4 {
        run.step(&gpu);
    }
    let buffer = run.adam.loss_scale_buffer().unwrap().clone();
    let want = Some(LossScaleState { scale: 131_072.0, growth_tracker: 1 });
    let check = |adam: &Adam, twin: &cpu::Adam, what| {
        assert_eq!(adam.loss_scale_buffer(), Some(&buffer), "{what}");
        assert_eq!((gpu.state(adam).loss_scale, twin.state().loss_scale), (want, want), "{what}");
    };
    let (param, grad) = (gpu.buffer(&[0.0; 4]), gpu.buffer(&[0.0; 4]));
    let tensor = Tensor::f32("later", &param, &grad);
    run.adam.add(0, [tensor]).unwrap();
    run.twin.add(0, [cpu::Tensor::new("later", 4)]).unwrap();
    check(&run.adam, &run.twin, "add");
    run.adam.reset(&["tensor0"]).unwrap();
    run.twin.reset(&["tensor0"]).unwrap();
    check(&run.adam, &run.twin, "reset");
    // The state has clocks that the new optimizer lacks, so that loading it replaces buffers.
    let state = gpu.state(&run.adam);
    run.adam.remove(&["tensor1"]).unwrap();
    run.twin.remove(&["tensor1"]).unwrap();
    check(&run.adam, &run.twin, "remove");
    run.adam.set_t(100).unwrap();
    run.twin.set_t(100);
    check(&run.adam, &run.twin, "set_t");
    let mut other = Scene::scattered(&[100, 8], &[Config::default()], scaled(restless())).start(&gpu);
    let (param, grad) = (gpu.buffer(&[0.0; 4]), gpu.buffer(&[0.0; 4]));
    other.adam.add(0, [Tensor::f32("later", &param, &grad)]).unwrap();
    let buffer = other.adam.loss_scale_buffer().unwrap().clone();
    pollster::block_on(other.adam.load_state(&state)).unwrap();
    assert_eq!(other.adam.loss_scale_buffer(), Some(&buffer));
    assert_eq!(gpu.state(&other.adam), state);
    // The scale still grows.
    gpu.steps(&other.adam, 2);
    assert_eq!(held(&gpu, &other.adam), 262_144.0);
}

#[test]
fn a_probe_measures_unscaled_gradients() {
    let gpu = Gpu::new();
    let scene = |options| Scene::scattered(&[3000, 40], &[Config::default()], options).start(&gpu);
    let mut plain = scene(Options { skip_nonfinite: true, ..Options::default() });
    let mut scaled = scene(scaled(restless()));
    let (plain_probe, probe) = (Probe::new(&plain.adam).unwrap(), Probe::new(&scaled.adam).unwrap());
    for t in 0..8 {
        plain.fresh_grads();
        if t == 4 {
            plain.grads[0][5] = f32::NAN;
        }
        scaled.grads = plain.grads.clone();
        let scale = scaled.twin.loss_scale().unwrap();
        scale_grads(&mut scaled, scale);
        let (got, twin) = scaled.measured_step(&gpu, &probe);
        let (want, _) = plain.measured_step(&gpu, &plain_probe);
        assert_eq!(got, want, "step {t}");
        assert_eq!(got.skipped, t == 4);
        if gpu.software {
            assert_eq!(got, twin, "step {t}");
        }
    }
}

#[test]
fn invalid_options_are_named() {
    let gpu = Gpu::new();
    let good = LossScale::default();
    let [nan, infinite] = [f64::NAN, f64::INFINITY];
    let of = |field: fn(&mut LossScale) -> &mut f64, value: f64| {
        let mut loss_scale = good.clone();
        *field(&mut loss_scale) = value;
        loss_scale
    };
    let mut cases = vec![(LossScale { growth_interval: 0, ..good }, "loss_scale.growth_interval")];
    for value in [0.0, -1.0, nan, infinite, 2e19, 1e-20] {
        cases.push((of(|l| &mut l.initial, value), "loss_scale.initial"));
    }
    for value in [1.0, 0.5, -2.0, nan, infinite, 1.0 + 1e-12] {
        cases.push((of(|l| &mut l.growth_factor, value), "loss_scale.growth_factor"));
    }
    for value in [0.0, 1.0, -0.5, nan, 2.0, 1.0 - 1e-12, 1e-300] {
        cases.push((of(|l| &mut l.backoff_factor, value), "loss_scale.backoff_factor"));
    }
    let [param, grad] = [0, 1].map(|_| gpu.buffer(&[0.0; 4]));
    let groups = [Group::new(Config::default(), vec![Tensor::f32("w", &param, &grad)])];
    let twins = [cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 4)])];
    for (loss_scale, want) in cases {
        let [on_gpu, on_cpu] = [
            Adam::new(&gpu.device, &gpu.queue, &groups, scaled(loss_scale.clone())).err(),
            cpu::Adam::new(&twins, scaled(loss_scale.clone())).err(),
        ];
        for error in [on_gpu, on_cpu] {
            assert!(matches!(&error, Some(Error::Option { field, .. }) if *field == want), "{loss_scale:?}: {error:?}");
        }
    }
    assert!(Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap().loss_scale_buffer().is_none());
}

/// A backward pass as a caller would write it. The gradients of 1e-9 * (param - 3)^2 / 2 are stored in f16.
const BACKWARD: &str = "
@group(0) @binding(0) var<uniform> loss_scale: f32;
@group(0) @binding(1) var<storage, read> param: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> grad: array<u32>;

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3<u32>) {
    let g = loss_scale * 1e-9 * (param[id.x] - 3.0);
    // WGSL does not define pack2x16float of a number above 65504. Here it is infinity.
    grad[id.x] = select(pack2x16float(g), 0x7c007c00u, any(abs(g) >= vec2<f32>(65520.0)));
}
";

/// Makes `steps` steps in one submission. Returns the distance from the goal, and the report.
fn trained(gpu: &Gpu, loss_scale: Option<LossScale>, steps: usize) -> (f32, wgpu_adam::Report) {
    const LEN: usize = 128;
    let param = gpu.buffer(&[1.0; LEN]);
    let grad = gpu.buffer(&[0.0; LEN / 2]);
    let tensor = Tensor::new("w", View::f32(&param), View::new(&grad, Dtype::F16));
    let group = Group::new(Config { lr: 0.02, eps: 1e-15, ..Config::default() }, vec![tensor]);
    let options = Options { loss_scale, ..Options::default() };
    let adam = Adam::new(&gpu.device, &gpu.queue, &[group], options).unwrap();
    let one = gpu.device.create_buffer_init(&BufferInitDescriptor {
        label: None,
        contents: bytemuck::cast_slice(&[1f32, 0.0, 0.0, 0.0]),
        usage: BufferUsages::UNIFORM,
    });
    let scale: &Buffer = adam.loss_scale_buffer().unwrap_or(&one);

    let (pipeline, bind_group) = gpu.pipeline(BACKWARD, &[scale, &param, &grad]);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for _ in 0..steps {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(LEN as u32 / 2 / 64, 1, 1);
        adam.step_in_pass(&mut pass);
    }
    gpu.queue.submit([encoder.finish()]);
    let far = gpu.read(&param).iter().map(|w| (w - 3.0).abs()).fold(0.0, f32::max);
    (far, gpu.report(&adam))
}

#[test]
fn gradients_that_vanish_in_f16_train_with_a_loss_scale() {
    let gpu = Gpu::new();
    let (far, report) = trained(&gpu, None, 400);
    assert_eq!((far, report.t, report.loss_scale), (2.0, 400, None), "2e-9 is zero in f16, so nothing moves");
    assert_eq!(f16::from_f32(2e-9), f16::ZERO);
    let (far, report) = trained(&gpu, Some(LossScale { initial: 65_536.0, ..restless() }), 400);
    assert!(far < 0.02, "{far} from the goal: {report:?}");
    // The scale has grown until a gradient overflowed, and the run has continued.
    assert!(report.skipped > 0 && report.loss_scale.unwrap() > 1e9, "{report:?}");
    assert_eq!(report.t + report.skipped, 400);
}

/// Two optimizers of one loss share a scale, as with one `GradScaler` in PyTorch: each skips by its own gradients, and
/// the scale backs off once if any of them skips.
#[test]
fn two_optimizers_share_a_scale() {
    let gpu = Gpu::new();
    let (grown, lr) = (LossScale { initial: 1024.0, ..restless() }, 0.01);
    let scene = |options| Scene::scattered(&[40, 300], &[Config { lr, ..Config::default() }], options);
    let mut leader = scene(scaled(grown.clone())).start(&gpu);
    let mut follower = scene(Options { clip: Clip::GlobalNorm(0.5), ..scaled(grown.clone()) }).start(&gpu);
    // The same without a scale, which a power of two must not change.
    let plain = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
    let mut unscaled = scene(plain).start(&gpu);
    let own = follower.adam.memory_use().small;
    follower.adam.share_loss_scale(&leader.adam).unwrap();
    assert_eq!(own - follower.adam.memory_use().small, 16, "the scale belongs to the leader");
    assert_eq!(follower.adam.loss_scale_buffer(), leader.adam.loss_scale_buffer());
    let mut model = Model::new(grown);
    for t in 0..40 {
        if t == 20 {
            // Changes of the follower keep the scale and its owner.
            follower.adam.reset(&["tensor1"]).unwrap();
            unscaled.adam.reset(&["tensor1"]).unwrap();
            follower.twin.reset(&["tensor1"]).unwrap();
            let state = gpu.state(&follower.adam);
            let mut other = state.clone();
            other.loss_scale = Some(LossScaleState { scale: 2.0, growth_tracker: 1 });
            pollster::block_on(follower.adam.load_state(&other)).unwrap();
            assert_eq!(gpu.state(&follower.adam), state);
        }
        let found = [t % 7 == 4, t % 5 == 4];
        let scale = model.scale;
        assert_eq!(held(&gpu, &leader.adam), scale, "step {t}");
        for (run, found) in [&mut leader, &mut follower, &mut unscaled].into_iter().zip([found[0], found[1], found[1]])
        {
            run.steps += 1;
            let factor = if run.scene.options.loss_scale.is_some() { scale } else { 1.0 };
            let grad = |(i, g): (usize, &mut f32)| *g = factor * crate::scene::normal(t, 3, i as u64);
            run.grads.iter_mut().flatten().enumerate().for_each(grad);
            if found {
                run.grads[0][7] = f32::INFINITY;
            }
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
        }
        model.update(found[0] || found[1]);
        let reports = [&leader, &follower].map(|run| gpu.report(&run.adam));
        assert_eq!(reports.clone().map(|report| report.last_skipped), found);
        assert_eq!(reports.map(|report| report.loss_scale), [Some(model.scale); 2], "step {t}");
        leader.twin_step();
        follower.twin_step_by(|twin, tensors| twin.step_with_loss_scale_of(&mut leader.twin, tensors));
        assert_eq!([&leader, &follower].map(|run| run.twin.loss_scale()), [Some(model.scale); 2]);
    }
    assert!(model.scale != 1024.0);
    leader.assert_same(&gpu);
    assert_same(&gpu.read(&follower.param_buffers[0]), &gpu.read(&unscaled.param_buffers[0]), "unscaled");
    if gpu.software {
        assert_same(&gpu.read(&follower.param_buffers[0]), &follower.params[0], "the follower");
        assert_eq!(gpu.state(&follower.adam), follower.twin.state());
    }
}

#[test]
fn a_scale_that_cannot_be_shared_is_named() {
    let gpu = Gpu::new();
    let start = |options: Options| Scene::scattered(&[8], &[Config::default()], options).start(&gpu);
    let (mut one, other) = (start(scaled(LossScale::default())), start(scaled(restless())));
    let error = one.adam.share_loss_scale(&other.adam).unwrap_err().to_string();
    assert_eq!(error, "the loss scale cannot be shared: the options of both must have the same loss_scale");
    let error = one.adam.share_loss_scale(&start(Options::default()).adam).unwrap_err().to_string();
    assert_eq!(error, "the loss scale cannot be shared: the options of both must have a loss_scale");
    let leader = start(scaled(LossScale::default()));
    one.adam.share_loss_scale(&leader.adam).unwrap();
    let mut third = start(scaled(LossScale::default()));
    let error = third.adam.share_loss_scale(&one.adam).unwrap_err().to_string();
    assert_eq!(error, "the loss scale cannot be shared: the other optimizer must have a loss scale of its own");
    let [one, other] = Gpu::two();
    let start = |gpu: &Gpu| Scene::scattered(&[8], &[Config::default()], scaled(LossScale::default())).start(gpu).adam;
    let error = start(&one).share_loss_scale(&start(&other)).unwrap_err().to_string();
    assert_eq!(error, "the loss scale cannot be shared: both optimizers must be of one device");
}
