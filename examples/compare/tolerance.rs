//! The tolerance between GPU and CPU counterpart, shared by the example `compare` and the tests.
//!
//! On a CPU adapter the results must be equal to the last bit. On other adapters a compiler may fuse a product and a
//! sum, and WGSL allows an error of 2.5 ulp for a division and of 4.5 ulp for a square root, which may be computed with
//! `inverseSqrt` (WGSL, section "Floating Point Accuracy"). Let u = 2^-24 be the relative error of one rounding. After
//! T steps:
//!
//! - m takes three roundings per step, and roundings older than h1 = 1/(1 - beta1) steps have decayed. The difference is
//!   at most 4u * min(T, h1) times the largest gradient, plus 32u for the error of the clip coefficient.
//! - v is similar, with h2 = 1/(1 - beta2) and relative to the square of the largest gradient. Squaring doubles the other
//!   errors.
//! - Each step of param is bounded by B = max(1, (1-beta1)/sqrt(1-beta2)). Its error relative to B is the error of m, plus
//!   the error of the root of v, plus 32u for a root, two divisions and the scalars (each of which takes a root and a
//!   division). The last rounding may go the other way, which adds one ulp of param, 2u.

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
    /// Returns the tolerance after `steps` steps. `largest_grad` and `largest_param` are the element's largest
    /// magnitudes during the run.
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

/// Returns the share of the tolerance that is used. A share above 1 is an error. On a software adapter any difference
/// is infinite.
pub fn share(got: f32, want: f32, tolerance: f64, software: bool) -> f64 {
    // All NaNs count as equal.
    if got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan() {
        return 0.0;
    }
    let difference = (f64::from(got) - f64::from(want)).abs();
    // A single NaN is outside every tolerance, and so is any difference if the tolerance is zero.
    if software || difference.is_nan() { f64::INFINITY } else { difference / tolerance }
}
