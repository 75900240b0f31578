//! Every variant on the GPU and on the twin: on a CPU adapter the results are equal to the last bit after 100 steps.

use std::slice::from_ref;

use crate::sampling::sample;
use crate::scene::variants::{rooted, uncorrected, variants};
use crate::scene::{Gpu, Scene, moments};
use wgpu_adam::preset::{burn, optax, pytorch};
use wgpu_adam::{Clip, Config, Decay, Group, Options, Variant, cpu};

fn check(gpu: &Gpu, scene: &Scene) {
    let mut run = scene.start(gpu);
    run.steps(gpu, 100);
    if let Some(difference) = run.difference(gpu) {
        panic!("{:?}: {difference}", scene.configs);
    }
}

#[test]
fn each_variant_agrees_with_each_decay_and_without_bias_correction() {
    let gpu = Gpu::new();
    let options = Options { skip_nonfinite: true, zero_grad: true, clip: Clip::GlobalNorm(1.0), ..Options::default() };
    for config in sample(variants()) {
        check(&gpu, &Scene::scattered(&[1000], from_ref(&config), Options::default()));
        let l2 = Config { decay: Decay::L2(0.1), maximize: true, ..config };
        check(&gpu, &Scene::scattered(&[257], &[l2], options.clone()));
        let decoupled = rooted(uncorrected(Config { decay: Decay::Decoupled(0.1), ..config }));
        check(&gpu, &Scene::scattered(&[257], &[decoupled], options.clone()));
    }
}

#[test]
fn variants_in_one_arena_do_not_interfere() {
    let gpu = Gpu::new();
    let configs = variants();
    let options = Options { skip_nonfinite: true, zero_grad: true, clip: Clip::GlobalNorm(1.0), ..Options::default() };
    for (lens, align) in [([17; 44], 1), ([64; 44], 4), ([5; 44], 64)] {
        check(&gpu, &Scene::arena(&lens, align, &configs, options.clone()));
    }
}

#[test]
fn the_clock_of_each_variant_can_start_later() {
    let gpu = Gpu::new();
    for config in sample(variants()) {
        let mut run = Scene::scattered(&[64], from_ref(&config), Options::default()).start(&gpu);
        for t in [1, 4, 5, 6, 100, 999, 20_000, 1_000_000, 1_000_000_000] {
            run.adam.set_t(t).unwrap();
            run.twin.set_t(t);
            run.steps(&gpu, 3);
            if let Some(difference) = run.difference(&gpu) {
                panic!("{config:?} from {t}: {difference}");
            }
        }
    }
}

#[test]
fn a_variant_keeps_only_the_moments_it_needs() {
    let gpu = Gpu::new();
    for (config, want) in [
        (pytorch::adam(), [8, 8, 0]),
        (pytorch::amsgrad(), [8, 8, 8]),
        (optax::lion(), [8, 0, 0]),
        (pytorch::rmsprop(), [0, 8, 0]),
        (pytorch::adagrad(), [0, 8, 0]),
        (pytorch::sgd(), [0, 0, 0]),
    ] {
        let run = Scene::scattered(&[8], from_ref(&config), Options::default()).start(&gpu);
        let state = gpu.state(&run.adam);
        assert_eq!(moments(&state.tensors[0]).map(|moment| moment.len()), want, "{config:?}");
    }
}

#[test]
fn presets_make_the_first_step_of_their_frameworks() {
    let (param, grad): (f64, f64) = (2.0, 0.01);
    // optax's NAdam: beta1*m/(1 - beta1^2) + (1 - beta1)*g/(1 - beta1), with m = (1 - beta1)*g.
    let nesterov = 0.9 * 0.1 / (1.0 - 0.81) + 1.0;
    for (name, config, times, eps, decay) in [
        ("torch.optim.Adam", pytorch::adam(), 1.0, 1e-8, 0.0),
        ("torch.optim.AdamW", pytorch::adamw(), 1.0, 1e-8, 1e-2),
        ("torch.optim.AdamW with amsgrad", pytorch::adamw_amsgrad(), 1.0, 1e-8, 1e-2),
        // RAdam's first step is not divided.
        ("torch.optim.RAdam with decoupled decay", pytorch::radamw(0.03), grad + 1e-8, 1e-8, 0.03),
        ("optax.adamaxw", optax::adamaxw(), 1.0, 1e-8, 1e-4),
        ("optax.adam", optax::adam(), 1.0, 1e-8, 0.0),
        ("optax.adamw", optax::adamw(), 1.0, 1e-8, 1e-4),
        ("optax.nadamw", optax::nadamw(), nesterov, 1e-8, 1e-4),
        ("burn's AdamConfig", burn::adam(), 1.0, 1e-5, 0.0),
        ("burn's AdamWConfig", burn::adamw(), 1.0, 1e-5, 1e-4),
    ] {
        assert_eq!(config.lr, 1e-3, "{name}");
        // The learning rate is large, so that f32 loses neither eps nor the decay.
        let group = Group::new(Config { lr: 0.5, ..config }, vec![cpu::Tensor::new("w", 1)]);
        let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
        let (mut after, mut given) = ([param as f32], [grad as f32]);
        adam.step(&mut [cpu::TensorMut::new(&mut after, &mut given)]).unwrap();
        let wanted = 0.5 * (times * grad / (grad + eps) + decay * param);
        let moved = param - f64::from(after[0]);
        assert!((moved - wanted).abs() < 5e-7, "{name} moved by {moved} instead of {wanted}");
    }
}

/// The equations of the paper in float64.
#[test]
fn laprop_is_that_of_the_paper_in_float64() {
    let config = wgpu_adam::preset::timm::laprop();
    let mut adam =
        cpu::Adam::new(&[cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 64)])], Options::default())
            .unwrap();
    let mut param = crate::scene::normals(1, 0, 64);
    let mut want: Vec<[f64; 3]> = param.iter().map(|param| [f64::from(*param), 0.0, 0.0]).collect();
    for t in 1..=200 {
        let mut grad = crate::scene::normals(2, t, 64);
        for ([param, m, v], g) in want.iter_mut().zip(&grad) {
            let g = f64::from(*g);
            *v = 0.999 * *v + (1.0 - 0.999) * g * g;
            let v_hat = *v / (1.0 - 0.999f64.powi(t as i32));
            *m = 0.9 * *m + (1.0 - 0.9) * g / (v_hat.sqrt() + config.eps);
            *param -= config.lr * *m / (1.0 - 0.9f64.powi(t as i32));
        }
        adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
    }
    for (got, [want, ..]) in param.iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 2e-6, "{got} for {want}");
    }
}

/// The equations of the paper in float64, with the schedules of the authors' code: `beta3(t)` by half-lives.
#[test]
fn ademamix_is_that_of_the_paper_in_float64() {
    let half_life = |beta: f64| 0.5f64.ln() / beta.ln() - 1.0;
    for (warmup, beta1, alpha) in [(0, 0.9, 6.0), (60, 0.9, 5.0), (1000, 0.3, 8.0), (100, 0.0, 5.0)] {
        let beta3 = 0.9999;
        let config = Config { beta1, variant: Variant::AdEmaMix { beta3, alpha, warmup }, ..optax::ademamix() };
        let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 64)]);
        let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
        let mut param = crate::scene::normals(1, 0, 64);
        let mut want: Vec<[f64; 4]> = param.iter().map(|param| [f64::from(*param), 0.0, 0.0, 0.0]).collect();
        for t in 1..=200 {
            let mut grad = crate::scene::normals(2, t, 64);
            let done = if t < u64::from(warmup) { t as f64 / f64::from(warmup) } else { 1.0 };
            let start = if beta1 > 0.0 { half_life(beta1) } else { -1.0 };
            let now = (1.0 - done) * start + done * half_life(beta3);
            let beta3_t = if done < 1.0 { 0.5f64.powf(1.0 / (now + 1.0)) } else { beta3 };
            for ([param, m, slow, v], g) in want.iter_mut().zip(&grad) {
                let g = f64::from(*g);
                *m = beta1 * *m + (1.0 - beta1) * g;
                *slow = beta3_t * *slow + (1.0 - beta3_t) * g;
                *v = 0.999 * *v + (1.0 - 0.999) * g * g;
                let root = (*v / (1.0 - 0.999f64.powi(t as i32))).sqrt();
                let m_hat = *m / (1.0 - beta1.powi(t as i32));
                *param -= config.lr * (m_hat + alpha * done * *slow) / (root + config.eps);
            }
            adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
        }
        let state = adam.state();
        for ((got, slow), [want, _, want_slow, _]) in param.iter().zip(state.tensors[0].grad_avg()).zip(&want) {
            assert!((f64::from(*got) - want).abs() < 3e-6, "{got} for {want}");
            assert!((f64::from(slow) - want_slow).abs() < 1e-6, "{slow} for {want_slow}");
        }
    }
}

#[test]
fn the_slow_average_needs_a_decay_rate() {
    for (beta3, alpha, want) in [
        (1.0, 5.0, "group 0: beta3 is 1, but must be above 0 and below 1"),
        (0.0, 5.0, "group 0: beta3 is 0, but must be above 0 and below 1"),
        (0.99, -1.0, "group 0: alpha is -1, but must be finite and not negative"),
    ] {
        let config = Config { variant: Variant::AdEmaMix { beta3, alpha, warmup: 0 }, ..Config::default() };
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", 1)]);
        assert_eq!(cpu::Adam::new(&[group], Options::default()).unwrap_err().to_string(), want);
    }
}

/// optax's equations in float64. Nothing moves in the first step.
#[test]
fn adopt_is_that_of_optax_in_float64() {
    let config = wgpu_adam::preset::optax::adopt();
    let mut adam =
        cpu::Adam::new(&[cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 64)])], Options::default())
            .unwrap();
    let first = crate::scene::normals(1, 0, 64);
    let mut param = first.clone();
    let mut want: Vec<[f64; 3]> = param.iter().map(|param| [f64::from(*param), 0.0, 0.0]).collect();
    let mut clamped = 0;
    for t in 1..=200_u64 {
        // The first gradients are small, so that the later ones are clamped.
        let scale = if t == 1 { 1e-3 } else { 1.0 };
        let mut grad: Vec<f32> = crate::scene::normals(2, t, 64).iter().map(|g| scale * g).collect();
        for ([param, m, v], g) in want.iter_mut().zip(&grad) {
            let g = f64::from(*g);
            if t == 1 {
                *v = g * g;
                continue;
            }
            let (n, bound) = (g / v.sqrt().max(config.eps), ((t - 1) as f64).powf(0.25));
            clamped += u32::from(n.abs() > bound);
            *m = 0.9 * *m + (1.0 - 0.9) * n.clamp(-bound, bound);
            *v = 0.9999 * *v + (1.0 - 0.9999) * g * g;
            *param -= config.lr * *m;
        }
        adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
        assert!(t > 1 || param == first);
    }
    assert!(clamped > 1000, "{clamped}");
    for (got, [want, ..]) in param.iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 1e-5, "{got} for {want}");
    }
}
