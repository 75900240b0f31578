//! Exact powers of beta, and what a configuration becomes at step t: the twin of `tick.wgsl`.
//!
//! `beta^t` is kept as a 64-bit integer that counts units of 2^-64. Integer arithmetic is the same on every driver, and
//! `1 - beta^t` is a negation, so the bias corrections lose nothing to cancellation: in f32, `1 - beta2^t` is wrong by
//! 2e-5 in the first steps. Each multiplication truncates by at most 2^-64, so after a billion steps `beta^t` is off by
//! less than 1e-10, long after it has left `1 - beta^t` = 1.

use crate::{Config, Decay};

/// The smallest `eps` that is used, 2^-63. A gradient below it has a square that f32 cannot hold; with a smaller
/// `eps` such a gradient would make a step without bound. Above it, adding it changes nothing.
pub(crate) const MIN_EPS: f32 = f32::from_bits((127 - 63) << 23);

/// A number in `[0, 1)` as units of 2^-64.
pub(crate) fn fixed(beta: f64) -> u64 {
    // Exact for beta >= 2^-11: an f64 has 53 bits.
    (beta * 18_446_744_073_709_551_616.0) as u64
}

/// The product of two such numbers, truncated.
pub(crate) fn product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// `beta^t` by squaring, for starting the clock at a later step. At `t` = 0 the power is 1, which is not representable and
/// not used: the first tick sets it to beta.
pub(crate) fn power(beta: u64, mut t: u64) -> u64 {
    let (mut result, mut square) = (None, beta);
    while t > 0 {
        if t % 2 == 1 {
            result = Some(result.map_or(square, |r| product(r, square)));
        }
        square = product(square, square);
        t /= 2;
    }
    result.unwrap_or(0)
}

/// `1 - power` as an f32, rounded to nearest even.
pub(crate) fn complement(power: u64) -> f32 {
    if power == 0 {
        return 1.0;
    }
    let units = power.wrapping_neg();
    let shift = units.leading_zeros();
    let bits = units << shift;
    let rest = bits & 0xff_ffff_ffff;
    let mut top = (bits >> 40) as u32;
    if rest > 0x80_0000_0000 || (rest == 0x80_0000_0000 && top % 2 == 1) {
        top += 1;
    }
    // `top` has at most 25 bits and the last is 0 then, so the conversion is exact; so is the power of two.
    top as f32 * f32::from_bits((127 - 24 - shift) << 23)
}

/// A group's clock: steps applied, and its betas to that power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    pub t: u32,
    pub power1: u64,
    pub power2: u64,
}

impl Clock {
    /// The clock of a group after `t` steps.
    pub fn at(t: u32, settings: &Settings) -> Self {
        let power = |beta| power(beta, u64::from(t));
        Self { t, power1: power(settings.beta1), power2: power(settings.beta2) }
    }

    /// One step more. `t` stops at the last u32, where both powers have long been 0.
    pub fn advance(&mut self, settings: &Settings) {
        if self.t == 0 {
            (self.power1, self.power2) = (settings.beta1, settings.beta2);
        } else {
            self.power1 = product(self.power1, settings.beta1);
            self.power2 = product(self.power2, settings.beta2);
        }
        self.t = self.t.saturating_add(1);
    }
}

/// A configuration as the GPU has it: what does not depend on time. The layout is `Settings` in `tick.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Settings {
    /// Units of 2^-64; in memory the low word is first, as in WGSL.
    pub beta1: u64,
    pub beta2: u64,
    pub lr: f32,
    pub eps: f32,
    pub l2: f32,
    pub weight_decay: f32,
    /// -1 to maximize, else 1.
    pub sign: f32,
    /// How a moment moves towards its target: see [`rate`].
    pub m_rate: f32,
    pub v_rate: f32,
    pub m_from_target: u32,
    pub v_from_target: u32,
    pub pad: [u32; 3],
}

impl Settings {
    pub fn new(config: &Config) -> Self {
        let (l2, weight_decay) = match config.decay {
            Decay::None => (0.0, 0.0),
            Decay::L2(weight_decay) => (weight_decay, 0.0),
            Decay::Decoupled(weight_decay) => (0.0, weight_decay),
        };
        let (m_rate, m_from_target) = rate(config.beta1);
        let (v_rate, v_from_target) = rate(config.beta2);
        Self {
            beta1: fixed(config.beta1),
            beta2: fixed(config.beta2),
            lr: config.lr as f32,
            eps: (config.eps as f32).max(MIN_EPS),
            l2: l2 as f32,
            weight_decay: weight_decay as f32,
            sign: if config.maximize { -1.0 } else { 1.0 },
            m_rate,
            v_rate,
            m_from_target,
            v_from_target,
            pad: [0; 3],
        }
    }
}

/// An exponential average with that beta, as `base + rate*(x - average)`: from the average by `1 - beta`, or, where beta
/// is below a half, from the target by `-beta`. So beta = 0 gives the target exactly, and for a beta near 1 it is
/// `1 - beta` that is rounded and not beta, whose rounding error is 1 / (1 - beta) times as large beside it.
fn rate(beta: f64) -> (f32, u32) {
    if beta < 0.5 { (-beta as f32, 1) } else { ((1.0 - beta) as f32, 0) }
}

/// What the update needs for one step of one group. The layout is `Scalars` in `scalars.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Scalars {
    /// 1 to apply the step, 0 to skip it.
    pub do_step: u32,
    /// Times the gradient: the sign and the clip coefficient.
    pub scale: f32,
    pub l2: f32,
    pub m_rate: f32,
    pub v_rate: f32,
    pub m_from_target: u32,
    pub v_from_target: u32,
    /// Times `m`: the learning rate over `1 - beta1^t`.
    pub m_coef: f32,
    /// Times `sqrt(v)`: 1 over the root of `1 - beta2^t`.
    pub v_coef: f32,
    pub eps: f32,
    /// Times `param`: the learning rate times the decoupled decay.
    pub decay: f32,
    /// Clip by value.
    pub limit: f32,
}

impl Scalars {
    /// The scalars of the step that `clock` has just advanced to.
    pub fn new(settings: &Settings, clock: &Clock, clip_coef: f32, limit: f32) -> Self {
        Self {
            do_step: 1,
            scale: settings.sign * clip_coef,
            l2: settings.l2,
            m_rate: settings.m_rate,
            v_rate: settings.v_rate,
            m_from_target: settings.m_from_target,
            v_from_target: settings.v_from_target,
            m_coef: settings.lr / complement(clock.power1),
            v_coef: 1.0 / complement(clock.power2).sqrt(),
            eps: settings.eps,
            decay: settings.lr * settings.weight_decay,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1 - beta^t` in f64, by a route that does not cancel.
    fn correction(beta: f64, t: u64) -> f64 {
        -(t as f64 * beta.ln()).exp_m1()
    }

    #[test]
    fn bias_corrections_are_within_2e_7_of_float64() {
        for beta in [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999] {
            let settings = Settings::new(&Config { beta1: beta, beta2: beta, ..Config::default() });
            let check = |clock: &Clock, t: u64| {
                let (want, got) = (correction(beta, t), f64::from(complement(clock.power2)));
                assert!(((got - want) / want).abs() < 1e-7, "beta {beta}, t {t}: {got} for {want}");
                let (want, got) = (1.0 / want.sqrt(), f64::from(Scalars::new(&settings, clock, 1.0, 0.0).v_coef));
                assert!(((got - want) / want).abs() < 2e-7, "beta {beta}, t {t}: {got} for {want}");
            };
            let mut clock = Clock::default();
            for t in 1..=20_000 {
                clock.advance(&settings);
                check(&clock, t);
            }
            for t in [1_000_000, 1_000_000_000] {
                check(&Clock::at(t, &settings), u64::from(t));
            }
        }
    }

    #[test]
    fn a_clock_started_later_agrees_with_one_that_ran() {
        let settings = Settings::new(&Config::default());
        let mut clock = Clock::default();
        for _ in 0..5_000 {
            clock.advance(&settings);
        }
        let jumped = Clock::at(5_000, &settings);
        assert_eq!((jumped.t, complement(jumped.power2)), (clock.t, complement(clock.power2)));
        assert!(jumped.power2.abs_diff(clock.power2) < 10_000);
    }

    #[test]
    fn a_beta_of_zero_and_the_ends_of_the_range() {
        assert_eq!(complement(fixed(0.0)), 1.0);
        assert_eq!(complement(fixed(0.75)), 0.25);
        assert_eq!(complement(u64::MAX), 2f32.powi(-64));
        assert_eq!(complement(1), 1.0);
        assert_eq!(power(fixed(0.5), 2), fixed(0.25));
        assert_eq!(MIN_EPS, 2f32.powi(-63));
    }
}
