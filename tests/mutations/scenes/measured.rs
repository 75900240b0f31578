//! Steps that a probe measures.

use wgpu_adam::preset::optax;
use wgpu_adam::{Config, Decay, LossScale, Options, Probe};

use super::Difference;
use crate::scene::{Gpu, Run, Scene};

pub const SCENES: &[(&str, Difference)] = &[
    ("measured, guarded", guarded),
    ("measured, non-finite gradients", nonfinite_gradients),
    ("measured AdaBelief", belief),
];

fn adamw() -> Config {
    Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() }
}

fn other() -> Config {
    Config { lr: 0.02, beta1: 0.0, maximize: true, decay: Decay::L2(0.1), ..Config::default() }
}

fn guarded(gpu: &Gpu) -> Option<String> {
    let loss_scale = Some(LossScale { growth_interval: 3, ..LossScale::default() });
    let options = Options { skip_nonfinite: true, loss_scale, ..Options::default() };
    let mut run = Scene::arena(&[5, 9001, 7, 20_001], 1, &[adamw(), other()], options).start(gpu);
    let probe = Probe::new(&run.adam).unwrap();
    steps(&mut run, gpu, &probe, |_, _| ()).or_else(|| {
        run.grads[0][0] = f32::NAN;
        measured(&mut run, gpu, &probe).or_else(|| {
            // The clock is set, and the step is skipped.
            run.adam.set_t(77).unwrap();
            run.twin.set_t(77);
            measured(&mut run, gpu, &probe)
        })
    })
}

/// The non-finite gradients are in quads that two tensors share.
fn nonfinite_gradients(gpu: &Gpu) -> Option<String> {
    let mut run = Scene::arena(&[5, 1001, 7], 1, &[adamw(), other()], Options::default()).start(gpu);
    let probe = Probe::new(&run.adam).unwrap();
    steps(&mut run, gpu, &probe, |run, t| {
        if t == 0 {
            (run.grads[0][5], run.grads[0][1006]) = (f32::NAN, f32::INFINITY);
        }
    })
}

fn belief(gpu: &Gpu) -> Option<String> {
    let belief = Config { beta1: 0.1, beta2: 0.5, ..optax::adabelief() };
    let mut run = Scene::scattered(&[9000, 40], &[belief, other()], Options::default()).start(gpu);
    let probe = Probe::new(&run.adam).unwrap();
    // The gradients are equal, so the ratio is large.
    steps(&mut run, gpu, &probe, |run, _| run.grads[0][..5000].fill(1.0))
}

/// Makes four measured steps. `change` changes the gradients before each.
fn steps(run: &mut Run, gpu: &Gpu, probe: &Probe, change: impl Fn(&mut Run, u32)) -> Option<String> {
    (0..4).find_map(|t| {
        run.fresh_grads();
        change(run, t);
        measured(run, gpu, probe)
    })
}

fn measured(run: &mut Run, gpu: &Gpu, probe: &Probe) -> Option<String> {
    let (got, want) = run.measured_step(gpu, probe);
    // As text, so that a NaN equals a NaN.
    let (got, want) = (format!("{got:?}"), format!("{want:?}"));
    (got != want).then(|| {
        let at = got.bytes().zip(want.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| text.get(at.saturating_sub(40)..(at + 20).min(text.len())).unwrap_or("").to_owned();
        format!("{} for {}", around(&got), around(&want))
    })
}
