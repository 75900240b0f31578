//! Cautious and corrected weight decay: against the equations in float64, and on both sides in every format.

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Scene, normals};
use wgpu_adam::{Clip, Config, Decay, Options, Schedule, State, Variant, cpu};

const DECAYS: [Decay; 2] = [Decay::Cautious(0.3), Decay::Corrected(0.3)];

#[test]
fn the_decay_is_that_of_the_papers_in_float64() {
    let schedule = Schedule::Cosine { from: 1.0, to: 0.0, steps: 40 }.with_warm_up(8);
    for decay in DECAYS {
        let config = Config { lr: 0.05, decay, ..Config::default() };
        let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 64)]).with_schedule(schedule.clone());
        let mut adam = cpu::Adam::new(&[group], Options::default()).unwrap();
        let mut param = normals(1, 0, 64);
        let mut want: Vec<[f64; 3]> = param.iter().map(|param| [f64::from(*param), 0.0, 0.0]).collect();
        let mut spared = 0;
        for t in 1..=40 {
            let mut grad = normals(2, t, 64);
            let lr = config.lr * schedule.factor(t as u32);
            for ([param, m, v], grad) in want.iter_mut().zip(&grad) {
                let g = f64::from(*grad);
                *m = 0.9 * *m + (1.0 - 0.9) * g;
                *v = 0.999 * *v + (1.0 - 0.999) * g * g;
                let (m_hat, v_hat) = (*m / (1.0 - 0.9f64.powi(t as i32)), *v / (1.0 - 0.999f64.powi(t as i32)));
                let u = m_hat / (v_hat.sqrt() + 1e-8);
                let rate = match decay {
                    Decay::Cautious(rate) if u * *param > 0.0 => lr * rate,
                    Decay::Corrected(rate) => lr * (lr / config.lr) * rate,
                    _ => {
                        spared += 1;
                        0.0
                    }
                };
                *param -= lr * u + rate * *param;
            }
            adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
        }
        for (got, [want, ..]) in param.iter().zip(&want) {
            assert!((f64::from(*got) - want).abs() < 3e-6, "{decay:?}: {got} for {want}");
        }
        assert_eq!(spared > 500, matches!(decay, Decay::Cautious(_)), "{spared}");
    }
}

/// With a constant rate, corrected decay is decoupled decay.
#[test]
fn corrected_decay_with_a_constant_rate_is_decoupled() {
    let run = |decay| {
        let config = Config { lr: 0.25, decay, ..Config::default() };
        let mut adam =
            cpu::Adam::new(&[cpu::Group::new(config, vec![cpu::Tensor::new("w", 8)])], Options::default()).unwrap();
        let mut param = normals(1, 0, 8);
        for t in 0..10 {
            adam.step(&mut [cpu::TensorMut::new(&mut param, &mut normals(2, t, 8))]).unwrap();
        }
        param
    };
    assert_eq!(run(Decay::Corrected(0.125)), run(Decay::Decoupled(0.125)));
}

#[test]
fn gpu_and_twin_agree_in_every_format_and_resume() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        // The decay of Schedule-Free cannot be cautious.
        let rules: Vec<Config> =
            variants().into_iter().filter(|config| config.variant != Variant::ScheduleFree).collect();
        let config = |k: usize| Config { lr: 0.02, decay: DECAYS[k], ..rules[(i + k) % rules.len()].clone() };
        let options = Options { clip: Clip::GlobalNorm(1.0), precision: precision.clone(), ..Options::default() };
        let scene = Scene::arena(&[300, 17, 1001, 4], align(&precision), &[config(0), config(1)], options)
            .with_dtypes((param, GRADS[i % 4]), (0, 0));
        let mut run = scene.start(&gpu);
        for group in [0, 1] {
            let schedule = Schedule::Linear { from: 1.0, to: 0.2, steps: 6 };
            run.adam.set_schedule(group, schedule.clone()).unwrap();
            run.twin.set_schedule(group, schedule).unwrap();
        }
        run.steps(&gpu, 3);
        let state = State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
        run.adam.set_lr(1, 0.01).unwrap();
        run.twin.set_lr(1, 0.01).unwrap();
        pollster::block_on(run.adam.load_state(&state)).unwrap();
        run.twin.load_state(&state).unwrap();
        run.steps(&gpu, 3);
        run.assert_same(&gpu);
    }
}

/// An optimizer without limits gets the other kernels with the first cautious decay.
#[test]
fn cautious_decay_can_come_in_mid_run() {
    let gpu = Gpu::new();
    let mut run = Scene::arena(&[300, 17], 4, &[Config::default()], Options::default()).start(&gpu);
    for decay in [Decay::None, DECAYS[0], Decay::Decoupled(0.1), DECAYS[1]] {
        let config = Config { lr: 0.05, decay, ..Config::default() };
        run.adam.set_config(0, config.clone()).unwrap();
        run.twin.set_config(0, config).unwrap();
        run.steps(&gpu, 2);
        run.assert_same(&gpu);
    }
}
