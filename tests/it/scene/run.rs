//! A running scene: it makes steps on both sides, and finds differences. Nothing here waits for the device, so that the
//! suite for browsers can use it too.

use wgpu::Buffer;
use wgpu_adam::state::{StateKind, StateTensor, TensorState};
use wgpu_adam::{Adam, Config, Decay, Dtype, Error, Report, State, Variant, cpu};

use super::gpu::Gpu;
use super::layout::{Scene, Spot};
use super::stored::Numbers;
use super::tolerance::{Tolerance, share};
use super::{differing, mix, normal};

/// A running scene: the buffers on the GPU, and their images on the host, which the twin steps.
pub struct Run {
    pub scene: Scene,
    pub adam: Adam,
    pub twin: cpu::Adam,
    pub params: Vec<Vec<f32>>,
    pub grads: Vec<Vec<f32>>,
    pub param_buffers: Vec<Buffer>,
    pub grad_buffers: Vec<Buffer>,
    pub steps: u64,
    /// The largest |gradient| and |param| of each element, tensor by tensor.
    pub largest: Vec<Vec<(f64, f64)>>,
}

/// The tolerance of an element, whose largest |gradient| and |param| are given.
fn tolerance(config: &Config, steps: u64, (grad, param): (f64, f64)) -> Tolerance {
    let adam = Tolerance::new(config, steps, grad, param);
    let relative = Tolerance::new(config, steps, 1.0, 0.0);
    // The most that v can be, beside the square of a gradient, and the sum of the squares. It may have begun with another
    // `initial`, of 1 at most, before the configuration changed.
    let begun = |initial: f64| relative.v * initial.max(1.0);
    let v = match config.variant {
        Variant::AdaMax => relative.v * grad,
        Variant::AdaBelief => 4.0 * adam.v,
        Variant::RmsProp { initial, .. } => adam.v + begun(initial),
        Variant::AdaGrad { initial, .. } => steps as f64 * adam.v + begun(initial),
        _ => adam.v,
    };
    // The most that a normalized gradient can be, and the steps that m adds up: these rules average it.
    let (largest, horizon) = match config.variant {
        Variant::LaProp => ((1.0 - config.beta2).sqrt().recip(), 1.0),
        Variant::RmsProp { momentum, .. } => ((1.0 - config.beta2).sqrt().recip(), 1.0 / (1.0 - momentum)),
        // t^(1/4), and a clock may start late.
        Variant::Adopt => (200.0, 1.0),
        // m is z - y here: the sum of steps, which decay is a part of.
        Variant::ScheduleFree => {
            let decay = if let Decay::Decoupled(decay) = config.decay { decay * param } else { 0.0 };
            let largest = (1.0 - config.beta2).sqrt().recip() + decay;
            let m = steps as f64 * config.lr * largest * (relative.m + relative.v);
            return Tolerance { m, v, param: adam.param + m };
        }
        _ => return Tolerance { v, ..adam },
    };
    let m = largest * horizon * (relative.m + relative.v);
    Tolerance { m, v, param: adam.param + steps as f64 * config.lr * m }
}

/// What the device has of a run.
pub struct Seen {
    pub params: Vec<Vec<f32>>,
    pub grads: Vec<Vec<f32>>,
    pub state: State,
    pub report: Report,
}

impl Run {
    /// Makes new gradients for both sides. They cover nine orders of magnitude, and a tenth of them is zero. If there
    /// is a loss scale, they are multiplied by it, and become infinite if that is too large for their dtype.
    pub fn fresh_grads(&mut self) {
        self.steps += 1;
        let (t, loss_scale) = (self.steps, self.twin.loss_scale().unwrap_or(1.0));
        let grads = |stream: usize, len: usize| {
            (0..len as u64).map(move |e| {
                let scale = 10f32.powi((mix(e) % 10) as i32 - 7);
                let zero = mix(e ^ t << 32).is_multiple_of(10);
                if zero { 0.0 } else { loss_scale * (scale * normal(2 + t, stream as u64, e)) }
            })
        };
        for (i, words) in self.grads.iter_mut().enumerate() {
            let fresh = grads(i, words.len());
            words.iter_mut().zip(fresh).for_each(|(word, grad)| *word = grad);
        }
        for (i, spot) in self.scene.spots.iter().enumerate().filter(|(_, spot)| spot.formats.1 != Dtype::F32) {
            let fresh: Vec<f32> = grads(100 + i, spot.len).collect();
            spot.put_grad(&Numbers::new(spot.formats.1, spot.grad_scale, &fresh), &mut self.grads);
        }
    }

    pub fn upload_grads(&self, gpu: &Gpu) {
        for (buffer, grads) in self.grad_buffers.iter().zip(&self.grads) {
            gpu.write(buffer, grads);
        }
    }

    /// Makes `steps` steps on both sides, each with fresh gradients.
    pub fn steps(&mut self, gpu: &Gpu, steps: usize) {
        for _ in 0..steps {
            self.step(gpu);
        }
    }

    /// Makes one step on both sides with fresh gradients.
    pub fn step(&mut self, gpu: &Gpu) {
        self.fresh_grads();
        self.upload_grads(gpu);
        gpu.step(&self.adam);
        self.twin_step();
    }

    /// Makes the twin's step on the images.
    pub fn twin_step(&mut self) -> Report {
        self.twin_step_by(cpu::Adam::step)
    }

    /// Makes the twin's step on the images with another method.
    pub fn twin_step_by<T>(
        &mut self,
        step: impl FnOnce(&mut cpu::Adam, &mut [cpu::TensorMut]) -> Result<T, Error>,
    ) -> T {
        let order: Vec<Spot> = self.scene.order().into_iter().cloned().collect();
        let mut values: Vec<_> = order.iter().map(|s| (s.param_of(&self.params), s.grad_of(&self.grads))).collect();
        for ((s, (param, grad)), largest) in order.iter().zip(&values).zip(&mut self.largest) {
            let l2 = if let Decay::L2(decay) = self.scene.configs[s.group].decay { decay } else { 0.0 };
            for ((p, g), (largest_grad, largest_param)) in param.values().iter().zip(grad.values()).zip(largest) {
                *largest_grad = largest_grad.max(f64::from(g.abs()) + l2 * f64::from(p.abs()));
                *largest_param = largest_param.max(f64::from(p.abs()));
            }
        }
        let mut slots: Vec<_> =
            values.iter_mut().map(|(param, grad)| cpu::TensorMut::new(param.slot(), grad.slot())).collect();
        let result = step(&mut self.twin, &mut slots).unwrap();
        for (s, (param, grad)) in order.iter().zip(&values) {
            s.put_param(param, &mut self.params);
            s.put_grad(grad, &mut self.grads);
        }
        result
    }

    /// Returns the first difference, if any. Outside the views and in the gradients, every bit must be equal. On a CPU
    /// adapter, every bit of params, state and report must be equal too. On other adapters a tolerance for f32 applies,
    /// and a tensor with anything narrower is not compared, only its surroundings.
    pub fn difference_from(&self, seen: Seen, gpu: &Gpu) -> Option<String> {
        let Seen { params: mut got, grads, state, report } = seen;
        let twin = self.twin.state();
        let mut worst: f64 = 0.0;
        for ((spot, largest), (tensor, twin)) in
            self.scene.order().into_iter().zip(&self.largest).zip(state.tensors.iter().zip(&twin.tensors))
        {
            let config = &self.scene.configs[spot.group];
            let of = |e: usize| tolerance(config, self.steps, largest[e]);
            let want = spot.param_of(&self.params);
            let mut values = vec![(None, spot.param_of(&got).values(), want.values())];
            assert_eq!(tensor.state.len(), twin.state.len());
            for (got, want) in tensor.state.iter().zip(&twin.state) {
                assert_eq!((got.kind, got.dtype, got.bytes.len()), (want.kind, want.dtype, want.bytes.len()));
                // If the device flushes numbers below 2^-126 to zero, codes may differ. Their decoded values are
                // compared instead.
                let decoded = gpu.flushes && got.dtype == Dtype::U8;
                let of = |tensor: &TensorState, state: &StateTensor| match state.kind {
                    StateKind::M if decoded => tensor.m(),
                    StateKind::V if decoded => tensor.v(),
                    StateKind::VMax if decoded => tensor.v_max(),
                    StateKind::GradAvg if decoded => tensor.grad_avg(),
                    _ => state.values(),
                };
                values.push((Some(got.kind), of(tensor, got), of(twin, want)));
            }
            let f32s = (Dtype::F32, Dtype::F32);
            let narrow = spot.formats != f32s || tensor.state.iter().any(|state| state.dtype != Dtype::F32);
            let values = values.into_iter().filter(|_| gpu.software || !narrow);
            for (what, e, got, want) in values.flat_map(|(what, got, want)| {
                got.into_iter().zip(want).enumerate().map(move |(e, (got, want))| (what, e, got, want))
            }) {
                // A difference below 2^-126 may be lost in each of the last steps.
                let lost = if gpu.flushes && what.is_some() { 1e3 * f32::MIN_POSITIVE } else { 0.0 };
                if got.to_bits() == want.to_bits() || lost > 0.0 && (got - want).abs() <= lost {
                    continue;
                }
                let tolerance = match what {
                    None => of(e).param,
                    Some(StateKind::M) => of(e).m,
                    // An average of gradients with every rule.
                    Some(StateKind::GradAvg) => Tolerance::new(config, self.steps, largest[e].0, 0.0).m,
                    _ => of(e).v,
                };
                let share = share(got, want, tolerance, gpu.software);
                worst = worst.max(share);
                if share > 1.0 {
                    let (what, name) = (what.map_or("param", StateKind::name), &tensor.name);
                    return Some(format!("{what} of {name} [{e}]: {got:e} for {want:e}, {share} of the tolerance"));
                }
            }
            spot.put_param(&want, &mut got);
        }
        let scales = [state.loss_scale, twin.loss_scale];
        println!("worst share of the tolerance: {worst:.3}");
        // The params within the views are now equal. What remains is outside the views.
        let beside = differing("params", &got, &self.params);
        beside.or_else(|| differing("grads", &grads, &self.grads)).or_else(|| {
            let (got, want) = (report, self.twin.report());
            let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            let lost = |a: f32, b: f32| gpu.flushes && (a - b).abs() < f32::MIN_POSITIVE;
            let close = |a: f32, b: f32| {
                same(a, b) || (!gpu.software || gpu.flushes) && (a / b - 1.0).abs() < 1e-5 || lost(a, b)
            };
            let skips = |r: &Report| (r.skipped, r.skipped_in_a_row, r.last_skipped);
            let counts = |r: &Report| (r.t, skips(r), r.accumulated, r.nonfinite_tensor.clone(), r.groups.clone());
            let same = counts(&got) == counts(&want)
                && close(got.clip_coef, want.clip_coef)
                && scales[0].map(|scale| scale.growth_tracker) == scales[1].map(|scale| scale.growth_tracker)
                && close(got.loss_scale.unwrap_or(1.0), want.loss_scale.unwrap_or(1.0))
                && got.grad_norm.is_some() == want.grad_norm.is_some()
                && close(got.grad_norm.unwrap_or(1.0), want.grad_norm.unwrap_or(1.0));
            (!same).then(|| format!("{got:?}, {:?} for {want:?}, {:?}", scales[0], scales[1]))
        })
    }
}
