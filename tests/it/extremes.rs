//! Gradients of every magnitude that f32 has: no rule lets a finite gradient leave a state that is not finite, and steps
//! are exact down to the smallest second moment that f32 has.

use proptest::prelude::*;

use crate::sampling::proptest_cases;
use crate::scene::precisions::{BESIDE, STATES, precision};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Scene, normal};
use wgpu_adam::{Clip, Config, Decay, GroupClip, Options, Variant, cpu, preset};

/// Any finite gradient: of every binade, and often the largest.
fn gradient() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(|bits| f32::from_bits(bits & 0xff7f_ffff)),
        prop::sample::select(vec![f32::MAX, -f32::MAX, 1.84e19, -1.84e19, 1.8e19, -1.8e19, 1e19, 0.0, 1.0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(proptest_cases(64)))]
    #[test]
    fn a_finite_gradient_never_leaves_a_state_that_is_not_finite(
        grads in prop::collection::vec(gradient(), 12), skip_nonfinite: bool,
        clip in prop::sample::select(vec![Clip::None, Clip::GlobalNorm(1.0), Clip::GlobalNorm(1e38), Clip::Value(3e38)]),
        own in prop::sample::select(vec![None, Some(GroupClip::Tensor(1.0)), Some(GroupClip::Group(1e38))]),
    ) {
        for (config, state) in variants().iter().flat_map(|config| STATES.map(|state| (config, state))) {
            let options = Options { clip, skip_nonfinite, precision: precision(state, BESIDE[0]), ..Options::default() };
            let group = |name: &str| cpu::Group::new(config.clone(), vec![cpu::Tensor::new(name, 2)]);
            let groups = [cpu::Group { clip: own, ..group("w") }, group("other")];
            let mut adam = cpu::Adam::new(&groups, options).unwrap();
            let (mut param, mut other) = ([0.5, -0.5], [0.5, -0.5]);
            for pair in grads.windows(2) {
                let mut grad = [pair[0], pair[1]];
                let mut ordinary = [1.0, -2.0];
                let tensors = [(&mut param, &mut grad), (&mut other, &mut ordinary)];
                adam.step(&mut tensors.map(|(param, grad)| cpu::TensorMut::new(param, grad))).unwrap();
                let tensors = adam.state().tensors;
                let moments = tensors.iter().flat_map(|state| [state.m(), state.v(), state.v_max()]);
                let state = &tensors[0];
                for values in moments.chain([param.to_vec(), other.to_vec()]) {
                    prop_assert!(values.iter().all(|x| x.is_finite()), "{:?}, {:?}: {:?}, {:?}", config, adam.options(), state, param);
                }
            }
        }
    }
}

#[test]
fn the_largest_gradients_give_the_same_bits_on_both_sides() {
    let gpu = Gpu::new();
    for (i, config) in variants().into_iter().enumerate() {
        let state = STATES[i % STATES.len()];
        let options = Options { precision: precision(state, BESIDE[0]), ..Options::default() };
        let mut run = Scene::arena(&[300, 20], 4, &[config], options).start(&gpu);
        for t in 0..8 {
            run.fresh_grads();
            let extremes = [f32::MAX, -f32::MAX, 1.84e19, -1.8e19, 1.0];
            run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = extremes[(i + t) % 5]);
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
            run.twin_step();
            run.steps += 1;
        }
        run.assert_same(&gpu);
        let state = gpu.state(&run.adam);
        assert!(state.tensors.iter().all(|t| t.m().iter().chain(&t.v()).all(|x| x.is_finite())));
    }
}

/// float64 goes on moving after a sum of squares that f32 does not have. So do we.
#[test]
fn adagrad_moves_after_its_sum_has_overflowed() {
    let group = cpu::Group::new(Config { lr: 1.0, ..preset::pytorch::adagrad() }, vec![cpu::Tensor::new("w", 1)]);
    let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
    let mut param = [0.0];
    for _ in 0..4 {
        adam.step(&mut [cpu::TensorMut::new(&mut param, &mut [1.8e19])]).unwrap();
    }
    let want: f64 = (1..=4).map(|t| 1.0 / f64::from(t).sqrt()).sum();
    assert!(f64::from(-param[0]) > want && param[0] > -4.01, "{param:?}");
}

/// With `eps` of 0, every gradient makes a step of the learning rate, down to the smallest that f32 can square.
#[test]
fn a_constant_gradient_of_any_size_makes_steps_of_the_learning_rate() {
    let gpu = Gpu::new();
    let rules = [preset::pytorch::adam(), preset::pytorch::amsgrad(), preset::optax::amsgrad(), preset::optax::nadam()];
    for config in rules {
        let mut scales = vec![1e-17, 1e-10, 1.0, 1e10, 1e19];
        if !gpu.flushes {
            scales.push(1e-18);
        }
        for g in scales {
            let config = Config { lr: 1.0, eps: 0.0, ..config.clone() };
            let nadam = matches!(config.variant, Variant::NAdam { .. });
            let mut run = Scene::scattered(&[5], &[config], Options::default()).start(&gpu);
            let before = run.params[0].clone();
            for _ in 0..3 {
                run.grads[0].fill(g);
                run.upload_grads(&gpu);
                gpu.step(&run.adam);
                run.twin_step();
                run.steps += 1;
            }
            run.assert_same(&gpu);
            for (before, after) in before.iter().zip(&run.params[0]) {
                let moved = f64::from(before - after);
                // optax's NAdam weighs the gradient of a constant twice: its steps are not of size 1.
                let want = if nadam { nadam_of_ones(3) } else { 3.0 };
                assert!((moved / want - 1.0).abs() < 1e-4, "gradient {g:e}: moved by {moved}, not {want}");
            }
        }
    }
}

/// The sum of optax's first NAdam steps with constant gradients.
fn nadam_of_ones(steps: i32) -> f64 {
    let step = |t: i32| {
        let m = 1.0 - 0.9f64.powi(t);
        0.9 * m / (1.0 - 0.9f64.powi(t + 1)) + 0.1 / (1.0 - 0.9f64.powi(t))
    };
    (1..=steps).map(step).sum()
}

/// A gradient that vanishes when it is squared makes a step within the bound, and a zero gradient none.
#[test]
fn gradients_whose_squares_vanish_make_bounded_steps_with_every_rule() {
    let gpu = Gpu::new();
    for config in variants() {
        let Some(bound) = config.step_bound() else { continue };
        let config = Config { lr: 1.0, decay: Decay::None, ..config };
        for scale in [0.0, 1e-45, 1e-38, 1e-30, 1e-22, 1e-19] {
            let mut run = Scene::scattered(&[64], std::slice::from_ref(&config), Options::default()).start(&gpu);
            for t in 0..10 {
                let before = run.params[0].clone();
                run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = scale * normal(t, 0, i as u64));
                run.upload_grads(&gpu);
                gpu.step(&run.adam);
                let values = gpu.read(&run.param_buffers[0]);
                for (before, after) in before.iter().zip(&values) {
                    let moved = f64::from(after - before).abs();
                    assert!(moved <= 1.01 * bound, "{config:?}, {scale:e}: {before} became {after}");
                    assert!(scale != 0.0 || moved == 0.0, "{config:?}: a zero gradient moved {before} to {after}");
                }
                run.params[0] = values;
            }
        }
    }
}
