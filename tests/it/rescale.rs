//! LAMB, StableAdamW and Cautious AdamW: the step of each tensor has a factor that is made of all of its elements.

use crate::sampling::sample;
use crate::scene::precisions::stored;
use crate::scene::{Gpu, Scene, normals};
use wgpu_adam::preset::{optax, optimi, timm};
use wgpu_adam::wgpu::Limits;
use wgpu_adam::{Clip, Config, Decay, Dtype, GroupClip, LossScale, Options, cpu};

fn lamb() -> Config {
    Config { decay: Decay::Decoupled(0.1), ..optax::lamb() }
}

fn all() -> [Config; 3] {
    [lamb(), optimi::stable_adamw(), timm::cautious_adamw()]
}

fn guarded() -> Options {
    Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, zero_grad: true, ..Options::default() }
}

/// The norm of a difference.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
}

/// Steps a tensor on the CPU with these gradients.
fn stepped(config: &Config, start: &[f32], grads: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
    let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", start.len())]);
    let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
    let mut w = start.to_vec();
    for mut grad in grads {
        adam.step(&mut [cpu::TensorMut::new(&mut w, &mut grad)]).unwrap();
    }
    w
}

#[test]
fn a_step_of_lamb_is_as_long_as_the_parameters() {
    for (scale, gradient) in [(1.0, 1.0), (1e-12, 1e5), (1e25, 1e-20)] {
        let start: Vec<f32> = normals(1, 0, 10_000).iter().map(|x| scale * x).collect();
        let grads = normals(2, 0, 10_000).iter().map(|x| gradient * x).collect();
        let after = stepped(&Config { lr: 0.01, eps: 0.0, ..optax::lamb() }, &start, [grads]);
        let (moved, norm) = (distance(&after, &start), distance(&start, &vec![0.0; start.len()]));
        assert!((moved / (0.01 * norm) - 1.0).abs() < 1e-4, "{moved} of {norm} at {scale}");
    }
    // A norm that is zero leaves Adam's step as it is.
    let zeros = vec![0.0; 100];
    let adam = Config { lr: 0.01, eps: 1e-6, ..Config::default() };
    let of_lamb = Config { lr: 0.01, ..optax::lamb() };
    assert_eq!(stepped(&of_lamb, &zeros, [normals(2, 0, 100)]), stepped(&adam, &zeros, [normals(2, 0, 100)]));
    let start = normals(1, 0, 100);
    assert_eq!(stepped(&of_lamb, &start, [zeros]), start);
}

/// After gradients of one size, StableAdamW takes a smaller step than Adam on gradients that are much larger, by the root mean
/// square that the paper gives; and the same step on smaller ones.
#[test]
fn stable_adamw_is_lower_where_gradients_jump() {
    let stable = Config { decay: Decay::None, ..optimi::stable_adamw() };
    let adam = Config { variant: wgpu_adam::Variant::Adam, ..stable.clone() };
    let start = vec![0.0; 1000];
    let steps = |last: f32| {
        let grads = (0..200).map(|t| if t == 199 { vec![last; 1000] } else { vec![1.0; 1000] });
        [&stable, &adam].map(|config| {
            let before = stepped(config, &start, grads.clone().take(199));
            f64::from(before[0] - stepped(config, &start, grads.clone())[0])
        })
    };
    let [got, plain] = steps(100.0);
    let v_hat = (0.99 * (1.0 - 0.99f64.powi(199)) + 0.01 * 1e4) / (1.0 - 0.99f64.powi(200));
    let rms = 100.0 / v_hat.sqrt();
    assert!((plain / got / rms - 1.0).abs() < 1e-3, "{plain} to {got} for {rms}");
    let [got, plain] = steps(0.5);
    assert_eq!(got, plain);
}

#[test]
fn cautious_adamw_steps_only_where_the_gradient_agrees() {
    let config = Config { decay: Decay::None, ..timm::cautious_adamw() };
    let start = normals(1, 0, 1000);
    // The second gradient disagrees in every fourth element.
    let first = normals(2, 0, 1000);
    let second: Vec<f32> = first.iter().enumerate().map(|(i, g)| if i % 4 == 0 { -0.01 * g } else { *g }).collect();
    let before = stepped(&config, &start, [first.clone()]);
    let after = stepped(&config, &start, [first.clone(), second.clone()]);
    let adam = Config { variant: wgpu_adam::Variant::Adam, ..config };
    let [plain_before, plain] = [vec![first.clone()], vec![first, second]].map(|grads| stepped(&adam, &start, grads));
    for i in 0..1000 {
        let (step, plain) = (after[i] - before[i], plain[i] - plain_before[i]);
        let want = if i % 4 == 0 { 0.0 } else { plain / 0.75 };
        assert!((step - want).abs() < 2e-6, "{i}: {step} for {want}");
    }
}

/// Tensors of several workgroups and of one element, in an arena and apart, with everything that changes the scalars.
#[test]
fn both_sides_agree_in_every_precision() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let options = Options { precision, ..if i % 2 == 0 { guarded() } else { Options::default() } };
        let lens = [40_001, 300, 1, 4099, 20_000, 17];
        let configs = [&all()[..], &[Config::default()]].concat();
        for scene in [Scene::scattered(&lens, &configs, options.clone()), Scene::arena(&lens, 4, &configs, options)] {
            let mut run = scene.with_dtypes((param, Dtype::F32), (0, 0)).start(&gpu);
            run.steps(&gpu, 4);
            run.assert_same(&gpu);
            let mut resumed = run.resumed(&gpu);
            for run in [&mut run, &mut resumed] {
                run.steps(&gpu, 2);
                run.assert_same(&gpu);
            }
            assert_eq!(run.params, resumed.params);
        }
    }
}

/// A tensor that is split into several regions has one factor.
#[test]
fn split_tensors_have_one_factor() {
    let limits = Limits {
        max_storage_buffer_binding_size: 16 << 10,
        max_compute_workgroups_per_dimension: 4,
        ..Limits::default()
    };
    let gpu = Gpu::with(limits);
    for config in all() {
        for scene in [
            Scene::offset(20_001, (17, 2), (77, 2), config.clone(), guarded()),
            Scene::scattered(&[20_000, 33], &[config.clone(), lamb()], Options::default()),
        ] {
            let mut run = scene.start(&gpu);
            run.steps(&gpu, 4);
            run.assert_same(&gpu);
        }
    }
}

/// Skipped steps, inactive tensors, clipping by tensor, a loss scale and changes of the tensors.
#[test]
fn factors_go_with_everything_else() {
    let gpu = Gpu::new();
    let scaled = Options { loss_scale: Some(LossScale::default()), ..Options::default() };
    for options in [guarded(), scaled] {
        let mut run = Scene::arena(&[300, 64, 7, 2000], 4, &all(), options)
            .clipped([Some(GroupClip::Tensor(0.1)), None, Some(GroupClip::Group(0.2))])
            .start(&gpu);
        run.steps(&gpu, 2);
        run.fresh_grads();
        run.grads[0][310] = f32::NAN;
        run.upload_grads(&gpu);
        gpu.step(&run.adam);
        run.twin_step();
        run.assert_same(&gpu);
        let names: Vec<String> = run.adam.tensor_names().map(str::to_owned).collect();
        run.adam.set_active(&[&names[1]], false).unwrap();
        run.twin.set_active(&[&names[1]], false).unwrap();
        run.steps(&gpu, 2);
        run.adam.reset(&[&names[0]]).unwrap();
        run.twin.reset(&[&names[0]]).unwrap();
        run.adam.set_schedule(0, wgpu_adam::Schedule::Constant(0.5)).unwrap();
        run.twin.set_schedule(0, wgpu_adam::Schedule::Constant(0.5)).unwrap();
        run.steps(&gpu, 2);
        run.assert_same(&gpu);
    }
}

#[test]
fn rows_are_refused() {
    let rows = cpu::Tensor::new("w", 8).with_rows(wgpu_adam::rows::Rows::new(4));
    let error = cpu::Adam::new(&[cpu::Group::new(lamb(), vec![rows])], Options::default()).unwrap_err();
    assert!(error.to_string().contains("LAMB needs a tensor whose elements all take part"), "{error}");
}
