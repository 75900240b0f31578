//! Steps that together use every dtype of params, gradients and state.

use wgpu_adam::{Config, Decay, Dtype, Options, Variant};

use super::Difference;
use crate::scene::precisions::{BESIDE, STATES, precision};
use crate::scene::{Gpu, Numbers, Run, Scene};

const F32: Dtype = Dtype::F32;
const F16: Dtype = Dtype::F16;
const BF16: Dtype = Dtype::Bf16;
const I32: Dtype = Dtype::I32;

/// The arguments of [`steps`] are the dtypes of param and grad, the indices into `STATES` and `BESIDE`, the elements
/// before the first tensor, and the magnitude of the gradients.
pub const SCENES: &[(&str, Difference)] = &[
    ("f16", |gpu| steps(gpu, adam(), (F16, F16), 0, 0, (0, 0), 1.0)),
    ("stochastic f16 and bf16", |gpu| steps(gpu, adam(), (F16, BF16), 2, 1, (1, 1), 1.0)),
    ("large f16", |gpu| steps(gpu, adam(), (F16, F32), 0, 0, (0, 0), 1e4)),
    ("bf16", |gpu| steps(gpu, adam(), (BF16, BF16), 1, 0, (3, 2), 1.0)),
    ("stochastic bf16, i32", |gpu| steps(gpu, adam(), (BF16, I32), 2, 1, (0, 0), 1.0)),
    ("blocks, remainder", |gpu| steps(gpu, adam(), (BF16, F16), 3, 3, (4, 4), 1.0)),
    ("stochastic blocks, master", |gpu| steps(gpu, amsgrad(), (BF16, F32), 4, 2, (4, 5), 1.0)),
    ("stochastic blocks, tiny gradients", |gpu| steps(gpu, adam(), (F32, F32), 4, 0, (0, 0), 1e-15)),
    ("blocks", |gpu| steps(gpu, adam(), (F32, F32), 3, 0, (0, 0), 1.0)),
    ("blocks of whole quads", whole_quads),
    ("denormal f16", |gpu| steps(gpu, sgd(), (F16, F32), 0, 0, (0, 0), 1.0)),
    ("stochastic denormal f16", |gpu| steps(gpu, sgd(), (F16, F32), 0, 1, (0, 0), 1.0)),
    ("stochastic bf16, several in a dispatch", several_in_a_dispatch),
];

fn adam() -> Config {
    Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() }
}

fn amsgrad() -> Config {
    Config { lr: 0.01, variant: Variant::AmsGrad { of_corrected: false }, ..Config::default() }
}

fn sgd() -> Config {
    Config { lr: 1.0, variant: Variant::Sgd { momentum: 0.0, dampening: 0.0, nesterov: false }, ..Config::default() }
}

/// Makes six steps on both sides.
fn steps(
    gpu: &Gpu,
    config: Config,
    dtypes: (Dtype, Dtype),
    state: usize,
    beside: usize,
    skip: (usize, usize),
    magnitude: f64,
) -> Option<String> {
    let is_sgd = matches!(config.variant, Variant::Sgd { .. });
    // Steps of large params are large, up to the largest f16 and beyond.
    let config = Config { lr: if magnitude > 1.0 { magnitude } else { config.lr }, ..config };
    let options = Options { precision: precision(STATES[state], BESIDE[beside]), ..Options::default() };
    let scene = Scene::arena(&[5, 2603, 3], 4, &[config], options).with_dtypes(dtypes, skip);
    let mut run = scene.start(gpu);
    if is_sgd {
        run.params[0].fill(0.0);
        gpu.write(&run.param_buffers[0], &run.params[0]);
    }
    for t in 0..6 {
        run.fresh_grads();
        let spot = &scene.spots[1];
        let put = |run: &mut Run, at: usize, x: f32| {
            Numbers::new(spot.formats.1, spot.grad_scale, &[x]).put(&mut run.grads[spot.buffers.1], spot.grad + at);
        };
        if dtypes.1 == F32 {
            run.grads.iter_mut().flatten().for_each(|g| *g *= magnitude.min(1.0) as f32);
        }
        if is_sgd {
            // The params start at zero and move to either side and back, in fractions of the smallest f16, including
            // halves. The last step exceeds every f16.
            run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = (i * (t + 1)) as f32 * 2f32.powi(-30));
            run.grads[0][2600] = if t == 5 { 1e5 } else { 0.0 };
        }
        if t == 3 && dtypes.1 != I32 {
            put(&mut run, 3, f32::NAN);
            put(&mut run, 9, f32::NEG_INFINITY);
            put(&mut run, 12, 6.1e-5);
        }
        run.upload_grads(gpu);
        gpu.step(&run.adam);
        run.twin_step();
    }
    run.difference(gpu)
}

/// Tensors of whole quads. The others of their last blocks are not theirs.
fn whole_quads(gpu: &Gpu) -> Option<String> {
    let options = Options { precision: precision(STATES[3], BESIDE[0]), ..Options::default() };
    let mut run = Scene::arena(&[8, 2604, 4], 4, &[adam()], options).start(gpu);
    run.steps(gpu, 2);
    run.difference(gpu)
}

/// Separately allocated tensors that share a dispatch.
fn several_in_a_dispatch(gpu: &Gpu) -> Option<String> {
    let options = Options { precision: precision(STATES[2], BESIDE[1]), ..Options::default() };
    let mut run = Scene::scattered(&[8, 300, 64], &[adam()], options).with_dtypes((BF16, F32), (0, 0)).start(gpu);
    run.steps(gpu, 2);
    run.difference(gpu)
}
