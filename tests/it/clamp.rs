//! Bounds of the parameters: each step ends within them, in every format, on the GPU and on the twin.

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Scene};
use wgpu_adam::{Clip, Config, Options, Variant, cpu};

fn bounded(config: Config) -> Config {
    Config { lr: 0.05, param_min: Some(-0.25), param_max: Some(0.5), ..config }
}

#[test]
fn parameters_stay_within_their_bounds_in_every_format() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let clip = [Clip::None, Clip::Value(0.1), Clip::GlobalNorm(1.0)][i % 3];
        let options = Options { clip, precision: precision.clone(), ..Options::default() };
        let lower = Config { lr: 0.05, param_min: Some(0.0), ..Config::default() };
        let configs = [bounded(Config::default()), Config { lr: 0.1, ..Config::default() }, lower];
        let scene = Scene::arena(&[300, 17, 1001, 4], align(&precision), &configs, options)
            .with_dtypes((param, GRADS[i % 4]), (0, 0));
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 6);
        run.assert_same(&gpu);
        let values = |group: usize| {
            let spots = scene.spots.iter().filter(move |spot| spot.group == group);
            spots.flat_map(|spot| spot.param_of(&run.params).values()).collect::<Vec<_>>()
        };
        assert!(values(0).iter().all(|x| (-0.25..=0.5).contains(x)) && values(2).iter().all(|x| *x >= 0.0));
        assert!(values(0).contains(&0.5) && values(0).contains(&-0.25) && values(2).contains(&0.0));
        assert!(values(1).iter().any(|x| *x > 0.5) && values(1).iter().any(|x| *x < -0.25), "no bound, no clamp");
    }
}

/// The state of a bounded run is that of a run whose parameters are clamped from outside after each step.
#[test]
fn every_rule_is_clamped_after_its_update() {
    // Schedule-Free has no bounds.
    for config in sample(variants()).into_iter().filter(|config| config.variant != Variant::ScheduleFree) {
        let optimizer = |config: Config| {
            cpu::Adam::new(&[cpu::Group::new(config, vec![cpu::Tensor::new("w", 64)])], Options::default()).unwrap()
        };
        let (mut inside, mut outside) = (optimizer(bounded(config.clone())), optimizer(Config { lr: 0.05, ..config }));
        let mut params = [crate::scene::normals(1, 0, 64), crate::scene::normals(1, 0, 64)];
        for t in 0..8 {
            for (adam, param) in [&mut inside, &mut outside].into_iter().zip(&mut params) {
                let mut grad = crate::scene::normals(2, t, 64);
                adam.step(&mut [cpu::TensorMut::new(&mut *param, &mut grad)]).unwrap();
            }
            params[1].iter_mut().for_each(|x| *x = x.clamp(-0.25, 0.5));
            assert_eq!(params[0], params[1]);
        }
        assert_eq!(inside.state().tensors, outside.state().tensors);
    }
}

#[test]
fn bounds_can_come_and_go_in_mid_run_and_are_saved() {
    let gpu = Gpu::new();
    let scene = Scene::arena(&[300, 17, 1001, 4], 4, &[Config::default(), Config::default()], Options::default());
    let mut run = scene.start(&gpu);
    run.steps(&gpu, 2);
    for config in [bounded(Config::default()), Config::default(), bounded(Config { lr: 0.5, ..Config::default() })] {
        run.adam.set_config(1, config.clone()).unwrap();
        run.twin.set_config(1, config).unwrap();
        run.steps(&gpu, 2);
        run.assert_same(&gpu);
    }
    // An optimizer that was made without bounds takes them over with the state.
    let mut next = run.resumed(&gpu);
    for run in [&mut run, &mut next] {
        run.steps(&gpu, 2);
        run.assert_same(&gpu);
    }
    assert_eq!(next.params, run.params);
}

#[test]
fn a_nan_is_not_hidden_by_a_bound() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[8], &[bounded(Config::default())], Options::default()).start(&gpu);
    run.fresh_grads();
    run.grads[0][3] = f32::NAN;
    run.upload_grads(&gpu);
    gpu.step(&run.adam);
    run.twin_step();
    let values = gpu.read(&run.param_buffers[0]);
    assert!(values[3].is_nan() && run.params[0][3].is_nan());
    assert_eq!(values.iter().filter(|x| x.is_nan()).count(), 1);
}

#[test]
fn impossible_bounds_are_named() {
    for (param_min, param_max, want) in [
        (Some(1.0), Some(0.5), "group 0: param_max is 0.5, but must be at least param_min"),
        (Some(f64::NAN), None, "group 0: param_min is NaN, but must be finite"),
        (None, Some(f64::INFINITY), "group 0: param_max is inf, but must be finite"),
        (Some(1e39), None, "group 0: param_min is 1000000000000000000000000000000000000000, but must be finite"),
    ] {
        let group =
            cpu::Group::new(Config { param_min, param_max, ..Config::default() }, vec![cpu::Tensor::new("w", 1)]);
        assert_eq!(cpu::Adam::new(&[group], Options::default()).unwrap_err().to_string(), want);
    }
}
