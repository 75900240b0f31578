//! How far the GPU may be from the twin: written down once, for the example `compare` and for the tests.
//!
//! On a CPU adapter not a bit. Elsewhere a compiler may fuse a product and a sum, and WGSL allows a division 2.5 ulp and
//! a square root (by way of `inverseSqrt`) 4.5 ulp (WGSL, section "Floating Point Accuracy"). With u = 2^-24, the
//! relative error of one rounding, after T steps:
//!
//! - m is made by three roundings a step, of which it forgets those older than h1 = 1/(1 - beta1) steps: apart by at
//!   most 4u * min(T, h1) times the largest gradient, and as much again as the clip coefficient may be off (32u).
//! - v likewise, with h2 = 1/(1 - beta2), relative to the square of the largest gradient; the square doubles the rest.
//! - Each step of param is off, relative to the bound B = max(1, (1-beta1)/sqrt(1-beta2)) on it, by what m and the root
//!   of v are off, and by 32u for a root, two divisions and the scalars (each with a root and a division of its own);
//!   and its last rounding may fall to the other side: one ulp, 2u, of param.

use wgpu_adam::Config;

const U: f64 = 1.0 / (1u64 << 24) as f64;

/// The three tolerances of one element.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub param: f64,
    pub m: f64,
    pub v: f64,
}

impl Tolerance {
    /// After so many steps, for an element whose largest |gradient| and |param| on the way are given.
    pub fn new(config: &Config, steps: u64, largest_grad: f64, largest_param: f64) -> Self {
        let steps = steps as f64;
        let horizon = |beta: f64| steps.min(1.0 / (1.0 - beta));
        let m = 4.0 * U * horizon(config.beta1) + 32.0 * U;
        let v = 6.0 * U * horizon(config.beta2) + 64.0 * U;
        let bound = ((1.0 - config.beta1) / (1.0 - config.beta2).sqrt()).max(1.0);
        let step = config.lr * bound * (m + v / 2.0 + 32.0 * U);
        Self {
            param: steps * (step + 2.0 * U * largest_param),
            m: m * largest_grad,
            v: v * largest_grad * largest_grad,
        }
    }
}

/// The share of the tolerance that is used: above 1 is too much. On a CPU adapter all or nothing.
pub fn share(got: f32, want: f32, tolerance: f64, software: bool) -> f64 {
    // A NaN is as good as another.
    if got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan() {
        return 0.0;
    }
    let difference = (f64::from(got) - f64::from(want)).abs();
    // A NaN on one side only is not within any tolerance; nor is anything within one of zero.
    if software || difference.is_nan() { f64::INFINITY } else { difference / tolerance }
}
