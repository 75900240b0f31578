//! Whether GPU and CPU agree about a step.

use crate::{
    Result,
    cpu::{slots, tensor_ranges},
    network::Network,
    tolerance::{Tolerance, share},
};
use wasm_bindgen::prelude::*;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Config, State, cpu};

/// What a step starts from.
pub struct Before {
    pub param: Vec<f32>,
    pub grad: Vec<f32>,
    pub state: State,
}

/// The comparison of one step: each parameter and each moment.
#[wasm_bindgen]
pub struct Check {
    /// The number of the step.
    pub t: u32,
    /// The numbers that were compared.
    pub numbers: u32,
    /// Those that differ. Numbers below 2^-126 count as zero, because a device may flush them.
    pub different: u32,
    /// The largest share of the tolerance of `examples/compare` that a number uses.
    pub share: f64,
}

impl Check {
    pub fn new(mut adam: cpu::Adam, before: Before, network: &Network, param: &[f32], state: &State) -> Result<Self> {
        adam.load_state(&before.state)?;
        let (mut want_param, mut grad) = (before.param.clone(), before.grad.clone());
        adam.step(&mut slots(network, &mut want_param, &mut grad))?;
        let want = adam.state();
        let mut check = Self { t: want.t, numbers: 0, different: 0, share: 0.0 };
        if want.t != state.t {
            check.different = u32::MAX;
            check.share = f64::INFINITY;
            return Ok(check);
        }
        // A number in a narrow format may fall to the neighbour of its code.
        let code = match before.state.options.precision.state {
            StateDtype::F32 => 0.0,
            StateDtype::Bf16 => 1.0 / 128.0,
            _ => 0.25,
        };
        for (tensor, (_, range)) in tensor_ranges(network).into_iter().enumerate() {
            let (old, got, want) = (&before.state.tensors[tensor], &state.tensors[tensor], &want.tensors[tensor]);
            let config = &before.state.groups[before.state.clocks[old.clock].group].config;
            let [old_m, old_v] = [old.m(), old.v()];
            let of = |values: &[f32], i: usize| values.get(i).map_or(0.0, |value| f64::from(value.abs()));
            let tolerance = |i: usize| {
                let at = range.start + i;
                let grad = f64::from(before.grad[at].abs());
                let largest = grad.max(of(&old_m, i)).max(of(&old_v, i).sqrt());
                let (from, to) = (f64::from(before.param[at]), f64::from(want_param[at]));
                let mut tolerance = Tolerance::new(&one(config), 1, largest, from.abs().max(to.abs()));
                // The steps of some rules are not in units of the learning rate.
                tolerance.param += 1e-5 * (to - from).abs();
                tolerance
            };
            for (i, at) in range.clone().enumerate() {
                check.add(param[at], want_param[at], tolerance(i).param);
            }
            for (got, want) in [(got.m(), want.m()), (got.grad_avg(), want.grad_avg())] {
                for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
                    check.add(got, want, tolerance(i).m + code * f64::from(want.abs()));
                }
            }
            for (got, want) in [(got.v(), want.v()), (got.v_max(), want.v_max())] {
                for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
                    check.add(got, want, tolerance(i).v + code * f64::from(want.abs()));
                }
            }
        }
        Ok(check)
    }

    fn add(&mut self, got: f32, want: f32, tolerance: f64) {
        let flushed = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x };
        let (got, want) = (flushed(got), flushed(want));
        self.numbers += 1;
        if got != want && !(got.is_nan() && want.is_nan()) {
            self.different += 1;
            self.share = self.share.max(share(got, want, tolerance, false));
        }
    }
}

/// The configuration with betas for which the tolerance is defined.
fn one(config: &Config) -> Config {
    Config { lr: config.lr, beta1: config.beta1.min(0.999), beta2: config.beta2.min(0.9999), ..Config::default() }
}
