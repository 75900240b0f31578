//! 8-bit state: it stays within its bounds, and it continues exactly after it was saved.

use crate::sampling::grid;
use crate::scene::precisions::{STATES, align, precision};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Scene, normals};
use wgpu::Limits;
use wgpu_adam::precision::{BLOCK, Rounding, StateDtype};
use wgpu_adam::state::StateKind;
use wgpu_adam::{Adam, Config, Decay, Dtype, Error, Group, Options, Precision, State, Tensor, Variant, View, preset};

fn blocks(state_rounding: Rounding) -> Options {
    let precision =
        Precision { state: StateDtype::Block8, state_min_len: 0, state_rounding, seed: 3, ..Precision::default() };
    Options { precision, ..Options::default() }
}

const ROUNDINGS: [Rounding; 2] = [Rounding::Nearest, Rounding::Stochastic];

/// Runs one tensor on the device, with new gradients for each step, and returns its params after each step.
fn run(
    gpu: &Gpu,
    config: Config,
    options: Options,
    start: &[f32],
    steps: u32,
    grad: impl Fn(u32, usize) -> f32,
) -> Vec<Vec<f32>> {
    let (param, grads) = (gpu.buffer(start), gpu.buffer(start));
    let tensor = Tensor::f32("w", &param, &grads);
    let adam = Adam::new(&gpu.device, &gpu.queue, &[Group::new(config, vec![tensor])], options).unwrap();
    let step = |t| {
        gpu.write(&grads, &(0..start.len()).map(|i| grad(t, i)).collect::<Vec<f32>>());
        gpu.step(&adam);
        gpu.read(&param)
    };
    (0..steps).map(step).collect()
}

#[test]
fn a_zero_gradient_with_a_zero_state_never_moves_a_weight() {
    let gpu = Gpu::new();
    let start = normals(1, 0, 600);
    for (rounding, config) in grid(ROUNDINGS, variants()) {
        let config = Config { decay: Decay::None, eps: 1e-8, eps_root: 0.0, ..config };
        // Every third element has a gradient, of widely varying size. Its neighbours in the block have none.
        let grad = |t: u32, i: usize| {
            if i.is_multiple_of(3) { (t as f32 - 20.0) * 10f32.powi(i as i32 % 9 - 4) } else { 0.0 }
        };
        let last = run(&gpu, config.clone(), blocks(rounding), &start, 40, grad).pop().unwrap();
        let moved = |i: usize| last[i].to_bits() != start[i].to_bits();
        assert!((0..600).all(|i| i % 3 == 0 || !moved(i)), "{config:?}");
        assert!((0..600).filter(|i| moved(*i)).count() > 150, "{config:?}: the others must move");
    }
}

/// The gradients of one block differ by up to 10^6. Adam is invariant to their scale, and so it must be here: a second
/// moment that is rounded to zero beside larger ones would make an unbounded step.
#[test]
fn elements_of_one_block_may_differ_by_a_factor_of_a_million() {
    let gpu = Gpu::new();
    let scale = |i: usize| 10f32.powf(-6.0 * (i % 256) as f32 / 255.0);
    let config = Config { lr: 1e-3, ..preset::pytorch::adam() };
    for rounding in ROUNDINGS {
        // Gradients with a constant sign, noise, and a single burst.
        type Gradient<'a> = &'a dyn Fn(u32, usize) -> f32;
        let kinds: [(&str, Gradient); 3] = [
            ("constant", &|_, i| scale(i)),
            ("noise", &|t, i| scale(i) * normals(t.into(), i as u64, 1)[0]),
            ("burst", &|t, i| if t == i as u32 % 8 { scale(i) } else { 0.0 }),
        ];
        for (name, grad) in kinds {
            let exact = run(&gpu, config.clone(), Options::default(), &[0.0; 512], 100, grad);
            let coarse = run(&gpu, config.clone(), blocks(rounding), &[0.0; 512], 100, grad);
            let mut largest = [0f32; 2];
            for (t, pair) in [&exact, &coarse].map(|run| run.windows(2)).into_iter().enumerate() {
                for two in pair {
                    let step = two[0].iter().zip(&two[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    largest[t] = largest[t].max(step);
                }
            }
            assert!(
                largest[1] < 1.5 * largest[0],
                "{name}, {rounding:?}: steps of {}, but {} in f32",
                largest[1],
                largest[0]
            );
            if name == "constant" {
                // Both runs have moved equally far, on average and for each element.
                let (exact, coarse) = (&exact[99], &coarse[99]);
                let mean = coarse.iter().sum::<f32>() / exact.iter().sum::<f32>();
                assert!((mean - 1.0).abs() < 0.05, "{rounding:?}: {mean} of the way");
                let ratios = coarse.iter().zip(exact).map(|(coarse, exact)| coarse / exact);
                let (least, most) = ratios.fold((f32::MAX, 0f32), |(least, most), x| (least.min(x), most.max(x)));
                assert!(least > 0.7 && most < 1.4, "{rounding:?}: {least} to {most} of the way");
            }
        }
    }
}

/// A non-finite gradient affects only its own element, and a huge gradient does no harm.
#[test]
fn non_finite_gradients_stay_in_their_element_and_huge_ones_do_no_harm() {
    let gpu = Gpu::new();
    for rounding in ROUNDINGS {
        let grad = |t: u32, i: usize| match (t, i) {
            (3, 7) => f32::NAN,
            (3, 300) => f32::INFINITY,
            (_, 20) => f32::MAX,
            (_, 21) => f32::MIN,
            (_, 22) => f32::from_bits(1),
            (_, i) if i >= 512 => f32::MAX / (1 + i) as f32,
            (_, i) => 1.0 + i as f32,
        };
        let last = run(&gpu, Config::default(), blocks(rounding), &[0.0; 700], 12, grad).pop().unwrap();
        for (i, x) in last.iter().enumerate() {
            let nonfinite = [7, 300].contains(&i);
            assert_eq!(x.is_nan(), nonfinite, "element {i} is {x}");
            assert!(nonfinite || x.abs() < 12.0 * 1.5e-3, "element {i} went to {x}");
        }
    }
}

/// The tensors have odd lengths, and the device's limits split one of them. Their state is saved, loaded by the twin
/// and by another optimizer, and carried over when tensors are removed.
#[test]
fn saved_and_carried_over_states_continue_exactly() {
    let limits = Limits { max_storage_buffer_binding_size: 4096, ..Limits::default() };
    for gpu in [Gpu::new(), Gpu::with(limits)] {
        let lens = [3, 257, 1, 3000, 70];
        let configs = [
            preset::pytorch::adam(),
            Config { variant: Variant::AmsGrad { of_corrected: false }, ..Config::default() },
        ];
        let precision = Precision {
            state_min_len: 50,
            ..precision(STATES[4], (Rounding::Nearest, wgpu_adam::precision::Master::None))
        };
        let options = Options { precision: precision.clone(), ..Options::default() };
        let scene = Scene::arena(&lens, align(&precision), &configs, options);
        let mut whole = scene.start(&gpu);
        whole.steps(&gpu, 20);
        whole.assert_same(&gpu);

        let mut first = scene.start(&gpu);
        first.steps(&gpu, 10);
        let state = State::from_bytes(&gpu.state(&first.adam).to_bytes().unwrap()).unwrap();
        let formats = |name: &str| {
            let tensor = state.tensors.iter().find(|tensor| tensor.name == name).unwrap();
            tensor.state.iter().map(|m| (m.kind, m.dtype, m.bytes.len())).collect::<Vec<_>>()
        };
        assert_eq!(
            formats("tensor0"),
            [(StateKind::M, Dtype::F32, 12), (StateKind::V, Dtype::F32, 12)],
            "few elements"
        );
        let scales = 4 * 3000_u64.div_ceil(BLOCK) as usize;
        let of = |codes, scale| [(codes, Dtype::U8, 3000), (scale, Dtype::F32, scales)];
        let want = [
            of(StateKind::M, StateKind::MScale),
            of(StateKind::V, StateKind::VScale),
            of(StateKind::VMax, StateKind::VMaxScale),
        ];
        assert_eq!(formats("tensor3"), want.concat());
        let mut twin = first.adam.to_cpu();
        twin.load_state(&state).unwrap();
        assert_eq!(twin.state().tensors, state.tensors, "through the twin");
        pollster::block_on(first.adam.load_state(&twin.state())).unwrap();
        first.steps(&gpu, 10);
        assert_eq!(gpu.state(&first.adam).tensors, gpu.state(&whole.adam).tensors, "saved and loaded");

        // State that is carried over is unchanged, whatever is removed beside it.
        first.adam.remove(&["tensor0", "tensor4"]).unwrap();
        let carried = gpu.state(&first.adam);
        let others: Vec<_> = gpu
            .state(&whole.adam)
            .tensors
            .into_iter()
            .filter(|t| !["tensor0", "tensor4"].contains(&&*t.name))
            .collect();
        assert_eq!(carried.tensors.len(), 3);
        for (got, want) in carried.tensors.iter().zip(&others) {
            assert_eq!((&got.name, &got.state), (&want.name, &want.state), "carried over");
        }
    }
}

#[test]
fn an_accumulator_may_start_above_zero() {
    let gpu = Gpu::new();
    let config = Config { variant: Variant::AdaGrad { lr_decay: 0.0, initial: 0.1 }, ..Config::default() };
    let mut run = Scene::scattered(&[700], &[config], blocks(Rounding::Stochastic)).start(&gpu);
    let state = gpu.state(&run.adam);
    assert_eq!(state.tensors[0].v(), [0.1; 700]);
    assert_eq!(run.twin.state().tensors, state.tensors);
    run.steps(&gpu, 20);
    run.assert_same(&gpu);
}

#[test]
fn unaligned_views_and_small_bindings_are_rejected() {
    let gpu = Gpu::new();
    let buffers = [0, 1].map(|_| gpu.buffer(&[0.0; 600]));
    let make = |gpu: &Gpu, first| {
        let [param, grad] = buffers.each_ref().map(|buffer| View::f32(buffer).slice(first..first + 500));
        let tensor = Tensor::new("w", param, grad);
        Adam::new(&gpu.device, &gpu.queue, &[Group::new(Config::default(), vec![tensor])], blocks(Rounding::Nearest))
    };
    let error = make(&gpu, 2).err().unwrap().to_string();
    assert_eq!(error, "tensor `w`: with 8-bit state, param must begin at a multiple of 4 elements in its buffer");
    assert!(make(&gpu, 4).is_ok());

    // On this device a binding is too small for a block.
    let limits = Limits { max_storage_buffer_binding_size: 1024, ..Limits::default() };
    let small = Gpu::with(limits);
    let buffers = [0, 1].map(|_| small.buffer(&[0.0; 600]));
    let tensor = Tensor::new("w", View::f32(&buffers[0]), View::f32(&buffers[1]));
    let group = [Group::new(Config::default(), vec![tensor])];
    let error = Adam::new(&small.device, &small.queue, &group, blocks(Rounding::Nearest)).err().unwrap();
    assert!(matches!(error, Error::BlockTooLarge { .. }), "{error}");
    assert!(error.to_string().starts_with("tensor `w`: "), "{error}");
    assert!(Adam::new(&small.device, &small.queue, &group, Options::default()).is_ok());
}
