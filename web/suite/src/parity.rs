//! GPU and twin over variants, formats and options.

use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::variants::{rooted, uncorrected, variants};
use crate::scene::{Gpu, Numbers, Run, Scene, Spot};
use crate::state::there_and_back;
use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Clip, Config, Decay, Group, GroupClip, LossScale, Options, Probe, Schedule, Tensor, View};

const LENS: [usize; 5] = [300, 17, 1001, 4, 3];

fn guarded() -> Options {
    Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() }
}

fn two_groups() -> [Config; 2] {
    [Config::default(), Config { lr: 0.02, decay: Decay::L2(0.1), maximize: true, ..Config::default() }]
}

/// Makes one step on both sides, with a value in place of the gradient at the beginning of a tensor.
fn step_with(run: &mut Run, gpu: &Gpu, tensor: usize, value: f32) {
    run.fresh_grads();
    let spot = run.scene.spots[tensor].clone();
    Numbers::new(spot.formats.1, spot.grad_scale, &[value]).put(&mut run.grads[spot.buffers.1], spot.grad);
    run.upload_grads(gpu);
    gpu.step(&run.adam);
    run.twin_step();
}

/// All groups are in one optimizer: a browser takes long to compile the kernel that all share.
pub async fn every_variant_agrees_with_the_twin(gpu: &Gpu) {
    let configs = variants().into_iter().flat_map(|config| {
        let decayed = Config { decay: Decay::Decoupled(0.1), ..uncorrected(config.clone()) };
        let coupled = Config { decay: Decay::L2(0.1), maximize: true, ..rooted(config.clone()) };
        [config, decayed, coupled]
    });
    let configs: Vec<Config> = configs.collect();
    let lens: Vec<usize> = LENS.into_iter().cycle().take(2 * configs.len()).collect();
    for options in [Options::default(), Options { zero_grad: true, ..guarded() }] {
        let mut run = gpu.start(&Scene::arena(&lens, 1, &configs, options)).await;
        run.steps(gpu, 20);
        gpu.assert_same(&run).await;
        there_and_back(gpu, &mut run).await;
    }
}

/// A scene with a group for every way to store parameters and state, and an optimizer of it.
async fn every_format(gpu: &Gpu) -> Run {
    let cases: Vec<_> =
        stored().flat_map(|(param, precision)| GRADS.map(|grad| (param, grad, precision.clone()))).collect();
    let (mut spots, mut sizes) = (Vec::new(), Vec::new());
    for (group, (param, grad, precision)) in cases.iter().enumerate() {
        let mut at = 4;
        for len in [257, 3, 40] {
            spots.push(Spot { formats: (*param, *grad), ..Spot::f32(group, (group, group), at, at, len) });
            at = (at + len).next_multiple_of(align(precision));
        }
        sizes.push(at + 5);
    }
    let config = Config { lr: 1e-2, decay: Decay::Decoupled(0.1), ..Config::default() };
    let configs = vec![config; cases.len()];
    let scene = Scene { params: sizes.clone(), grads: sizes, spots, configs, clips: Vec::new(), options: guarded() };
    let mut placed = scene.place(gpu);
    for (group, (_, _, precision)) in placed.groups.iter_mut().zip(cases) {
        group.precision = Some(precision);
    }
    let adam = Adam::new_async(&gpu.device, &gpu.queue, &placed.groups, guarded()).await.unwrap();
    scene.run(placed, adam)
}

pub async fn every_format_agrees_with_the_twin(gpu: &Gpu) {
    let mut run = every_format(gpu).await;
    run.steps(gpu, 6);
    step_with(&mut run, gpu, 4, f32::INFINITY);
    run.steps(gpu, 6);
    gpu.assert_same(&run).await;
    there_and_back(gpu, &mut run).await;
}

pub async fn every_clipping_agrees_with_the_twin(gpu: &Gpu) {
    let clips = [Some(GroupClip::Tensor(0.3)), None, Some(GroupClip::Group(0.5))];
    let [one, other] = two_groups();
    let configs = [one.clone(), other, Config { lr: 0.01, ..one }];
    for clip in [Clip::None, Clip::GlobalNorm(0.4), Clip::Value(0.01)] {
        for clips in [&[][..], &clips[..]] {
            let scene = Scene::scattered(&LENS, &configs, Options { clip, ..Options::default() }).clipped(clips);
            let mut run = gpu.start(&scene).await;
            run.steps(gpu, 10);
            gpu.assert_same(&run).await;
        }
    }
}

pub async fn a_nan_skips_the_step_and_is_named(gpu: &Gpu) {
    let mut run = gpu.start(&Scene::arena(&LENS, 4, &two_groups(), guarded())).await;
    run.steps(gpu, 3);
    for (tensor, value) in [(2, f32::NAN), (4, f32::NEG_INFINITY), (0, f32::INFINITY)] {
        let before = gpu.state(&run.adam).await.tensors;
        step_with(&mut run, gpu, tensor, value);
        gpu.assert_same(&run).await;
        let report = gpu.report(&run.adam).await;
        assert!(report.last_skipped);
        assert_eq!(report.nonfinite_tensor, Some(format!("tensor{tensor}")));
        assert_eq!(gpu.state(&run.adam).await.tensors, before);
        run.steps(gpu, 2);
        gpu.assert_same(&run).await;
    }
    let report = gpu.report(&run.adam).await;
    assert_eq!((report.t, report.skipped, report.last_skipped), (9, 3, false));
}

pub async fn every_schedule_has_the_same_rates(gpu: &Gpu) {
    use Schedule::*;
    let cosine = |steps| Cosine { from: 1.0, to: 0.0, steps };
    let schedules = [
        Constant(0.3),
        WarmUp { steps: 7 },
        Linear { from: 1.5, to: 0.2, steps: 1_000_000_007 },
        cosine(3_000_000_000),
        CosineRestarts { from: 1.0, to: 1e-3, steps: 7, growth: 3 },
        Exponential { rate: 0.99, every: 1 },
        Step { rate: 0.1, every: 30 },
        Polynomial { from: 1.0, to: 0.01, power: 0.9, steps: 1_000 },
        OneCycle { from: 0.04, to: 4e-6, up: 300, down: 700 },
        InverseSqrt { timescale: 400 }.with_warm_up(400),
        Table { values: vec![1.0, 0.5, 0.7, 0.1], every: 11, interpolate: true },
        Table { values: vec![1.0, 0.5, 0.7, 0.1], every: 11, interpolate: false },
        Sequence(vec![(0, cosine(100).with_warm_up(10)), (60, Step { rate: 0.5, every: 3 }), (70, Constant(0.01))]),
    ];
    let scene = Scene::arena(&[3; 13], 1, &schedules.clone().map(|_| Config::default()), Options::default());
    let mut placed = scene.place(gpu);
    placed.groups.iter_mut().zip(schedules).for_each(|(group, schedule)| group.schedule = schedule);
    let adam = Adam::new_async(&gpu.device, &gpu.queue, &placed.groups, scene.options.clone()).await.unwrap();
    let mut run = scene.run(placed, adam);
    for t in [0, 58, 299, 998, 999_999_999, 3_000_000_000, u32::MAX - 2] {
        run.adam.checked(|adam| adam.set_t(t)).await.unwrap();
        run.twin.set_t(t);
        for _ in 0..if t == 0 { 40 } else { 4 } {
            run.step(gpu);
            let (got, want) = (gpu.report(&run.adam).await, run.twin.report());
            let bits =
                |report: &wgpu_adam::Report| report.groups.iter().map(|g| (g.t, g.lr.to_bits())).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(&want));
        }
    }
    run.adam.checked(|adam| adam.set_schedule(0, WarmUp { steps: 5 })).await.unwrap();
    run.twin.set_schedule(0, WarmUp { steps: 5 }).unwrap();
    run.adam.checked(|adam| adam.set_lr(1, 0.5)).await.unwrap();
    run.twin.set_lr(1, 0.5).unwrap();
    run.steps(gpu, 2);
    gpu.assert_same(&run).await;
}

fn scaled(initial: f64) -> Options {
    let scale = LossScale { initial, backoff_factor: 0.3, growth_interval: 4, ..LossScale::default() };
    Options { loss_scale: Some(scale), clip: Clip::GlobalNorm(0.5), ..Options::default() }
}

pub async fn a_loss_scale_moves_alike(gpu: &Gpu) {
    let mut run = gpu.start(&Scene::arena(&LENS, 1, &two_groups(), scaled(3.0e5))).await;
    for _ in 0..4 {
        run.steps(gpu, 5);
        step_with(&mut run, gpu, 1, f32::INFINITY);
    }
    gpu.assert_same(&run).await;
    let (report, scale) = (gpu.report(&run.adam).await, run.adam.loss_scale_buffer().unwrap());
    assert_eq!((report.t, report.skipped), (20, 4));
    assert_eq!(Some(gpu.read(scale).await[0]), report.loss_scale);
}

pub async fn two_optimizers_share_a_loss_scale(gpu: &Gpu) {
    let scene = || Scene::scattered(&[40, 300], &[Config::default()], scaled(1024.0));
    let (mut leader, mut follower) = (gpu.start(&scene()).await, gpu.start(&scene()).await);
    follower.adam.checked(|adam| adam.share_loss_scale(&leader.adam)).await.unwrap();
    for t in 0..20 {
        // An infinity of the follower backs off the scale of both.
        for (run, infinite) in [(&mut leader, t % 7 == 4), (&mut follower, t % 5 == 3)] {
            run.fresh_grads();
            if infinite {
                run.grads[1][7] = f32::INFINITY;
            }
            run.upload_grads(gpu);
            gpu.step(&run.adam);
        }
        leader.twin_step();
        follower.twin_step_by(|twin, tensors| twin.step_with_loss_scale_of(&mut leader.twin, tensors));
    }
    gpu.assert_same(&leader).await;
    assert_eq!(gpu.read_all(&follower.param_buffers).await, follower.params);
    let [leader, follower] = [gpu.report(&leader.adam).await, gpu.report(&follower.adam).await];
    assert_eq!(leader.loss_scale, follower.loss_scale);
    assert!(leader.loss_scale != Some(1024.0) && [leader.skipped, follower.skipped] == [3, 4]);
}

pub async fn inactive_tensors_stay_as_they_are(gpu: &Gpu) {
    let mut run = gpu.start(&Scene::arena(&LENS, 4, &two_groups(), guarded())).await;
    run.steps(gpu, 2);
    run.adam.checked(|adam| adam.set_active(&["tensor0", "tensor3"], false)).await.unwrap();
    run.twin.set_active(&["tensor0", "tensor3"], false).unwrap();
    let before = run.params.clone();
    for _ in 0..3 {
        // No gradient of an inactive tensor is read.
        step_with(&mut run, gpu, 0, f32::NAN);
    }
    gpu.assert_same(&run).await;
    assert_eq!(run.params[0][..300], before[0][..300]);
    assert_eq!(gpu.report(&run.adam).await.skipped, 0);
    run.adam.checked(|adam| adam.set_active(&["tensor0"], true)).await.unwrap();
    run.twin.set_active(&["tensor0"], true).unwrap();
    run.steps(gpu, 2);
    gpu.assert_same(&run).await;
    assert!(run.params[0][..300] != before[0][..300]);
}

pub async fn parameters_stay_within_their_bounds(gpu: &Gpu) {
    let [one, other] = two_groups();
    let bounded = Config { lr: 0.05, param_min: Some(-0.25), param_max: Some(0.5), ..one };
    let mut run = gpu.start(&Scene::scattered(&LENS, &[bounded, other], Options::default())).await;
    run.steps(gpu, 5);
    gpu.assert_same(&run).await;
    let params = &run.params[0];
    assert!(params.iter().all(|x| (-0.25..=0.5).contains(x)) && params.contains(&0.5) && params.contains(&-0.25));
}

pub async fn a_probe_measures_alike(gpu: &Gpu) {
    let configs: Vec<Config> = variants().into_iter().step_by(6).chain(two_groups()).collect();
    let lens: Vec<usize> = LENS.into_iter().cycle().take(configs.len() + 3).collect();
    let mut run = gpu.start(&Scene::arena(&lens, 4, &configs, guarded())).await;
    let probe = Probe::new_async(&run.adam).await.unwrap();
    run.steps(gpu, 3);
    for step in 0..3 {
        run.fresh_grads();
        if step == 1 {
            run.grads[0][5] = f32::NAN;
        }
        let (got, want) = gpu.measured_step(&mut run, &probe).await;
        assert_eq!(got.skipped, step == 1);
        // As text, so that a NaN equals a NaN.
        let text = |insight: &Insight| format!("{insight:#?}");
        assert_eq!(text(&got), text(&want));
    }
    run.steps(gpu, 1);
    gpu.assert_same(&run).await;
}

pub async fn tensors_come_and_go(gpu: &Gpu) {
    let mut run = gpu.start(&Scene::scattered(&LENS, &two_groups(), guarded())).await;
    run.steps(gpu, 3);
    run.adam.checked(|adam| adam.reset(&["tensor1"])).await.unwrap();
    run.twin.reset(&["tensor1"]).unwrap();
    run.steps(gpu, 2);
    gpu.assert_same(&run).await;
    let before = gpu.state(&run.adam).await;
    let (param, grad) = (gpu.buffer(&[1.0; 64]), gpu.buffer(&[1.0; 64]));
    let group = Group::new(Config::default(), vec![Tensor::new("new", View::f32(&param), View::f32(&grad))]);
    assert_eq!(run.adam.checked(|adam| adam.add_group(group)).await.unwrap(), 2);
    gpu.step(&run.adam);
    assert!(gpu.read(&param).await.iter().all(|x| *x < 1.0));
    assert_eq!(gpu.report(&run.adam).await.groups[2].t, 1);
    run.adam.checked(|adam| adam.remove(&["new"])).await.unwrap();
    run.adam.load_state(&gpu.state(&run.adam).await).await.unwrap();
    let after = gpu.state(&run.adam).await;
    assert_eq!(
        after.tensors.iter().map(|t| &t.name).collect::<Vec<_>>(),
        before.tensors.iter().map(|t| &t.name).collect::<Vec<_>>()
    );
    assert_eq!((before.t, after.t), (5, 6));
}

/// The twin divides large tensors among the threads of rayon, of which a browser has one.
pub async fn a_large_tensor_agrees_in_many_steps_of_one_submission(gpu: &Gpu) {
    let mut run = gpu.start(&Scene::scattered(&[100_003, 10], &two_groups()[..1], guarded())).await;
    run.fresh_grads();
    run.upload_grads(gpu);
    gpu.steps(&run.adam, 30);
    for _ in 0..30 {
        run.twin_step();
    }
    run.steps = 30;
    gpu.assert_same(&run).await;
}
