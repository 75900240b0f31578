//! GPU and twin over lengths, layouts and options: on a CPU adapter the results are equal to the last bit after 100
//! steps.

use std::slice::from_ref;

use crate::sampling::grid;
use crate::scene::{Gpu, Scene, Spot, assert_same, normal};
use wgpu_adam::{Adam, Clip, Config, Decay, Group, Options, Tensor, View};

const LENS: [usize; 8] = [1, 2, 3, 5, 255, 257, 4097, 1000];

fn configs() -> [Config; 2] {
    [Config::default(), Config { lr: 3e-3, decay: Decay::Decoupled(0.1), ..Config::default() }]
}

fn all_options() -> [Options; 4] {
    [
        Options::default(),
        Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, zero_grad: true, ..Options::default() },
        Options { clip: Clip::Value(0.5), skip_nonfinite: true, zero_grad: false, ..Options::default() },
        Options { clip: Clip::None, skip_nonfinite: true, zero_grad: true, ..Options::default() },
    ]
}

fn check(gpu: &Gpu, scene: &Scene, dispatches: usize) {
    let mut run = scene.start(gpu);
    assert_eq!(run.adam.dispatches(), dispatches, "{scene:?}");
    run.steps(gpu, 100);
    run.assert_same(gpu);
}

#[test]
fn separately_allocated_tensors_of_all_lengths_agree() {
    let gpu = Gpu::new();
    for options in all_options() {
        // One tensor has whole quads only. The others have a partial last quad: four of one group and three of the
        // other. A dispatch has room for three of them in an update, and for five in a norm.
        let norms = if options.skip_nonfinite { 1 + 2 } else { 0 };
        check(&gpu, &Scene::scattered(&LENS, &configs(), options), norms + 1 + (1 + 2 + 1));
    }
}

#[test]
fn a_flat_arena_is_one_dispatch_even_if_groups_alternate() {
    let gpu = Gpu::new();
    for options in all_options() {
        for configs in [&configs()[..1], &configs()[..]] {
            // Adjacent tensors, tensors that begin at quads, and tensors aligned to 256 bytes.
            for align in [1, 4, 64] {
                let scene = Scene::arena(&LENS, align, configs, options.clone());
                // If the last quad is not entirely within the buffer, it is a region of its own.
                check(&gpu, &scene, if options.skip_nonfinite { 3 } else { 2 });
            }
        }
    }
}

#[test]
fn a_large_tensor_with_a_partial_last_quad_is_two_dispatches() {
    let gpu = Gpu::new();
    check(&gpu, &Scene::scattered(&[40_001], &configs()[..1], Options::default()), 3);
    check(&gpu, &Scene::scattered(&[40_000], &configs()[..1], Options::default()), 2);
}

#[test]
fn views_at_any_aligned_offset_leave_their_neighbours_alone() {
    let gpu = Gpu::new();
    let places = [
        (1, (3, 0), (3, 0)),
        (10, (1, 5), (5, 1)),
        (1000, (2, 7), (66, 0)),
        (1001, (64, 3), (0, 3)),
        (1001, (63, 64), (127, 0)),
        // Param and grad are not aligned with each other, so each element is loaded by itself.
        (1000, (1, 1), (2, 2)),
        (20_000, (0, 0), (3, 1)),
    ];
    for (options, (len, param, grad)) in grid(all_options(), places) {
        let scene = Scene::offset(len, param, grad, configs()[1].clone(), options.clone());
        check(&gpu, &scene, if options.skip_nonfinite { 3 } else { 2 });
    }
}

#[test]
fn every_configuration_agrees() {
    let gpu = Gpu::new();
    let base = Config { lr: 0.01, ..Config::default() };
    let configs = [
        Config { decay: Decay::L2(0.1), ..base },
        Config { decay: Decay::Decoupled(0.5), ..base },
        Config { maximize: true, decay: Decay::L2(0.1), ..base },
        Config { beta1: 0.0, ..base },
        Config { beta1: 0.4, beta2: 0.3, ..base },
        Config { beta1: 0.5, beta2: 0.5, ..base },
        Config { beta2: 0.0, ..base },
        Config { beta1: 0.95, beta2: 0.99999, ..base },
        Config { eps: 1e-15, ..base },
        Config { eps: 0.0, ..base },
        Config { eps: 1.0, ..base },
        Config { lr: 0.0, ..base },
    ];
    for (config, options) in grid(configs, all_options()) {
        let mut run = Scene::scattered(&[1000], from_ref(&config), options).start(&gpu);
        run.steps(&gpu, 100);
        run.assert_same(&gpu);
    }
}

#[test]
fn tensors_may_be_in_any_order_and_in_several_buffers() {
    let gpu = Gpu::new();
    let spot = Spot::f32;
    let scene = Scene {
        params: vec![3000, 100],
        grads: vec![3000, 100],
        spots: vec![
            spot(1, (0, 0), 2000, 2000, 500),
            spot(0, (0, 0), 0, 0, 1000),
            spot(0, (1, 1), 10, 14, 50),
            spot(1, (0, 0), 1000, 1000, 1000),
            // The distance between param and grad is different, so this tensor must not be merged with its neighbour.
            spot(0, (0, 0), 2500, 2600, 100),
        ],
        configs: configs().to_vec(),
        clips: Vec::new(),
        options: Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, zero_grad: true, ..Options::default() },
    };
    // The last two updates share a dispatch, and so do all norms.
    check(&gpu, &scene, 1 + 1 + 2);
}

#[test]
fn a_thousand_steps_in_one_submission_equal_a_thousand_submissions() {
    let gpu = Gpu::new();
    let options = Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, zero_grad: false, ..Options::default() };
    let scene = Scene::scattered(&[1000, 10], &configs(), options);
    let (mut one, mut many) = (scene.start(&gpu), scene.start(&gpu));
    one.fresh_grads();
    many.fresh_grads();
    one.upload_grads(&gpu);
    many.upload_grads(&gpu);
    gpu.steps(&one.adam, 1000);
    for _ in 0..1000 {
        gpu.step(&many.adam);
    }
    for (a, b) in one.param_buffers.iter().zip(&many.param_buffers) {
        assert_same(&gpu.read(a), &gpu.read(b), "params");
    }
    assert_eq!(gpu.state(&one.adam), gpu.state(&many.adam));
    assert_eq!(gpu.report(&one.adam).t, 1000);
    // The twin makes the same steps from the same gradients.
    for _ in 0..1000 {
        one.twin_step();
    }
    one.steps = 1000;
    one.assert_same(&gpu);
}

#[test]
fn a_new_learning_rate_applies_from_the_next_submission() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[100, 100], &configs(), Options::default()).start(&gpu);
    run.steps(&gpu, 10);
    run.adam.set_lr(1, 0.05).unwrap();
    run.twin.set_lr(1, 0.05).unwrap();
    run.steps(&gpu, 10);
    run.adam.set_lr(0, 0.0).unwrap();
    run.twin.set_lr(0, 0.0).unwrap();
    let before = run.params[0].clone();
    run.steps(&gpu, 10);
    run.assert_same(&gpu);
    assert_eq!(run.params[0], before, "lr 0 must move nothing");
    let lrs: Vec<f32> = gpu.report(&run.adam).groups.iter().map(|g| g.lr).collect();
    assert_eq!(lrs, [0.0, 0.05]);
}

#[test]
fn the_clock_can_start_later() {
    let gpu = Gpu::new();
    for t in [1, 999, 1_000_000, 1_000_000_000, u32::MAX - 2] {
        let mut run = Scene::scattered(&[100], &configs()[1..], Options::default()).start(&gpu);
        run.adam.set_t(t).unwrap();
        run.twin.set_t(t);
        run.steps(&gpu, 5);
        run.assert_same(&gpu);
        // The count saturates at u32::MAX.
        assert_eq!(gpu.report(&run.adam).t, t.saturating_add(5));
    }
}

#[test]
fn two_groups_may_differ_only_in_weight_decay() {
    let gpu = Gpu::new();
    let decays = [Decay::Decoupled(0.0), Decay::Decoupled(0.5)];
    let configs = decays.map(|decay| Config { lr: 0.1, decay, ..Config::default() });
    // With zero gradients only the decay moves a weight.
    let mut run = Scene::arena(&[33; 6], 1, &configs, Options::default()).start(&gpu);
    run.grads[0].fill(0.0);
    run.upload_grads(&gpu);
    let before = run.params[0].clone();
    gpu.step(&run.adam);
    let after = gpu.read(&run.param_buffers[0]);
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        let want = if i / 33 % 2 == 0 { *before } else { before - 0.05 * before };
        assert!((after - want).abs() <= 1e-7 * want.abs(), "[{i}]: {before} became {after}");
    }
}

#[test]
fn param_and_grad_may_share_a_buffer() {
    let gpu = Gpu::new();
    let len = 1000;
    let values: Vec<f32> = (0..3 * len).map(|i| normal(3, 0, i as u64)).collect();
    for zero_grad in [false, true] {
        let options = Options { zero_grad, clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() };
        // The buffer contains the grads, then a gap, then the params.
        let (grad, param) = (0, 2 * len);
        let buffer = gpu.buffer(&values);
        let view = |at: usize| View::f32(&buffer).slice(at as u64..(at + len) as u64);
        let tensors = vec![Tensor::new("shared", view(param), view(grad))];
        let shared =
            Adam::new(&gpu.device, &gpu.queue, &[Group::new(configs()[1].clone(), tensors)], options.clone()).unwrap();
        let (apart_param, apart_grad) =
            (gpu.buffer(&values[param..param + len]), gpu.buffer(&values[grad..grad + len]));
        let tensors = vec![Tensor::f32("apart", &apart_param, &apart_grad)];
        let apart = Adam::new(&gpu.device, &gpu.queue, &[Group::new(configs()[1].clone(), tensors)], options).unwrap();
        gpu.steps(&shared, 10);
        gpu.steps(&apart, 10);
        let all = gpu.read(&buffer);
        assert_same(&all[param..param + len], &gpu.read(&apart_param), "params");
        assert_same(&all[grad..grad + len], &gpu.read(&apart_grad), "grads");
        assert_same(&all[grad + len..param], &values[grad + len..param], "the gap");
    }
}

/// The result is the same with any number of storage buffers, and with stochastic rounding.
#[test]
fn a_standalone_twin_matches_separately_allocated_tensors() {
    use wgpu_adam::precision::StateDtype;
    use wgpu_adam::{Precision, cpu};
    let stochastic = Precision { state: StateDtype::Bf16, state_min_len: 0, ..Precision::default() };
    for (gpu, precision) in [
        (Gpu::new(), Precision::default()),
        (Gpu::new(), stochastic.clone()),
        (Gpu::with_storage_buffers(12), stochastic),
    ] {
        let options = Options {
            clip: Clip::GlobalNorm(1.0),
            skip_nonfinite: true,
            zero_grad: false,
            precision,
            ..Options::default()
        };
        let lens = [5000, 17, 20_001, 300, 4, 1000, 64];
        let mut run = Scene::scattered(&lens, &configs()[..1], options.clone()).start(&gpu);
        let tensors = lens.iter().enumerate().map(|(i, &len)| cpu::Tensor::new(format!("tensor{i}"), len)).collect();
        run.twin = cpu::Adam::new(&[cpu::Group::new(configs()[0].clone(), tensors)], options).unwrap();
        run.steps(&gpu, 20);
        run.assert_same(&gpu);
    }
}
