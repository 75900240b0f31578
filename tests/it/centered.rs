//! Centered RMSProp against PyTorch's equation in float64, and with gradients whose variance PyTorch's f32 loses.

use crate::golden::problem::{ELEMENTS, STEPS, first_params, grads};
use crate::scene::precisions::{BESIDE, STATES, precision};
use crate::scene::{Gpu, Scene, normal};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::preset::{optax, pytorch};
use wgpu_adam::{Config, Options, Variant, cpu};

fn with_momentum(momentum: f64, lr_in_momentum: bool, config: Config) -> Config {
    let variant = Variant::RmsProp { momentum, nesterov: false, lr_in_momentum, initial: 0.0, centered: true };
    Config { variant, ..config }
}

/// The root mean square of the error of p in units of the root mean square of the distance moved.
fn miss(config: &Config, eps_in_root: bool, momentum: f64) -> f64 {
    let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", ELEMENTS)]);
    let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
    let p0 = first_params(0, -10);
    let mut p = p0.clone();
    let (alpha, eps, eps_root) = (config.beta2, config.eps, config.eps_root);
    let mut exact: Vec<f64> = p0.iter().copied().map(f64::from).collect();
    let mut state = vec![[0.0; 3]; ELEMENTS];
    for t in 1..=STEPS {
        let mut grad = grads(0, t);
        for ((p, g), [square_avg, grad_avg, buffer]) in exact.iter_mut().zip(&grad).zip(&mut state) {
            let g = f64::from(*g);
            *square_avg = alpha * *square_avg + (1.0 - alpha) * g * g;
            *grad_avg = alpha * *grad_avg + (1.0 - alpha) * g;
            let variance = *square_avg - *grad_avg * *grad_avg;
            let divisor = if eps_in_root { (variance + eps_root).sqrt() } else { variance.sqrt() + eps };
            *buffer = momentum * *buffer + g / divisor;
            *p -= config.lr * *buffer;
        }
        adam.step(&mut [cpu::TensorMut::new(&mut p, &mut grad)]).unwrap();
    }
    let sum = |terms: &mut dyn Iterator<Item = f64>| terms.map(|x| x * x).sum::<f64>();
    let moved = sum(&mut exact.iter().zip(&p0).map(|(exact, p0)| exact - f64::from(*p0)));
    (sum(&mut exact.iter().zip(&p).map(|(exact, p)| exact - f64::from(*p))) / moved).sqrt()
}

#[test]
fn centered_rmsprop_is_near_pytorchs_and_optaxs_equation_in_float64() {
    let (pytorch, optax) = (pytorch::rmsprop_centered(), optax::rmsprop_centered());
    for (name, config, eps_in_root, momentum) in [
        ("PyTorch", pytorch.clone(), false, 0.0),
        ("PyTorch with momentum", with_momentum(0.9, false, pytorch), false, 0.9),
        ("optax", optax.clone(), true, 0.0),
        ("optax with momentum", with_momentum(0.9, true, optax), true, 0.9),
    ] {
        let miss = miss(&config, eps_in_root, momentum);
        println!("{name}: {miss:.2e}");
        assert!(miss < 3e-7, "{name}: {miss:.2e}");
    }
}

/// After `t` steps with the gradient `g`, the variance is `g*g * alpha^t * (1 - alpha^t)`.
#[test]
fn constant_gradients_leave_a_variance_that_is_exact_and_never_negative() {
    let g = 3.7_f32;
    let config = Config { beta2: 0.9, ..pytorch::rmsprop_centered() };
    let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", 1)]);
    let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
    let mut w = [0.0];
    for t in 1..=2000 {
        adam.step(&mut [cpu::TensorMut::new(&mut w, &mut [g])]).unwrap();
        let v = f64::from(adam.state().tensors[0].v()[0]);
        let power = 0.9_f64.powi(t);
        let want = f64::from(g).powi(2) * power * (1.0 - power);
        // The average of the gradient stands still when a tenth of its distance from `g` is lost to rounding.
        let allowed = 1e-6 * want.sqrt() + f64::from(g) * 10.0 * 2f64.powi(-24);
        assert!(v >= 0.0 && (v.sqrt() - want.sqrt()).abs() <= allowed, "step {t}: {v:e} for {want:e}");
        assert!(w[0].is_finite(), "step {t}");
    }
}

/// The mean of the gradients is 100 times their deviation, and the variance 1. A difference of averages in 8 bits would
/// be noise of the size of 1,000: their rounding errors. Here only the square of the rounding error of `grad_avg` is
/// added.
#[test]
fn a_small_variance_survives_in_every_format() {
    let gpu = Gpu::new();
    for state in STATES {
        let config = Config { beta2: 0.9, lr: 1e-3, ..pytorch::rmsprop_centered() };
        let options = Options { precision: precision(state, BESIDE[0]), ..Options::default() };
        let mut run = Scene::scattered(&[512], &[config], options).start(&gpu);
        for t in 0..200 {
            run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = 100.0 + normal(t, 0, i as u64));
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
            run.twin_step();
        }
        if gpu.software {
            run.assert_same(&gpu);
        }
        let v = gpu.state(&run.adam).tensors[0].v();
        let mean = v.iter().sum::<f32>() / 512.0;
        println!("{state:?}: the mean variance is {mean}");
        let most = if state.0 == StateDtype::Block8 { 20.0 } else { 1.3 };
        assert!(mean > 0.8 && mean < most && v.iter().all(|v| *v > 0.1), "{state:?}: {mean}, {v:?}");
    }
}
