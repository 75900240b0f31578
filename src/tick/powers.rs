//! Exact powers of beta. Twin of `tick.wgsl`.
//!
//! `beta^t` is a 64-bit integer that counts units of 2^-64. Integer arithmetic is the same on every driver. The bias
//! correction `1 - beta^t` is a negation, so it loses nothing to cancellation: in f32, `1 - beta2^t` is wrong by 2e-5
//! in the first steps. Each multiplication truncates by at most 2^-64, so after a billion steps `beta^t` is off by less
//! than 1e-10. By then, `1 - beta^t` has long been 1.

use crate::num::fixed::{fraction, of_f32, power, product};
use crate::num::mirror::mirror;
use crate::tick::settings::{Settings, time_law};

mirror! {
    /// The powers of a clock after t steps. `Powers` in `tick.wgsl`.
    #[derive(Eq)]
    pub(crate) struct Powers {
        /// beta1^t.
        pub beta1_t: u64,
        /// beta2^t.
        pub beta2_t: u64,
        /// gamma^t, for NAdam. For Schedule-Free the sum of the weights over the last one, in units of 2^-32.
        pub gamma_t: u64,
        /// mu(1)*..*mu(t), for NAdam. For Schedule-Free the bits of the largest learning rate so far.
        pub product: u64,
    }
}

/// `mu(t) = beta1*(1 - gamma^t/2)`, NAdam's momentum, with `gamma` = 0.96^momentum_decay.
pub(crate) fn momentum(beta1: u64, gamma_power: u64) -> u64 {
    let half = gamma_power >> 1;
    if half == 0 { beta1 } else { product(beta1, half.wrapping_neg()) }
}

impl Powers {
    /// The powers after `t` steps.
    pub fn at(t: u32, settings: &Settings) -> Self {
        let power = |beta| power(beta, u64::from(t));
        let mut powers = Self { beta1_t: power(settings.beta1), beta2_t: power(settings.beta2), ..Self::default() };
        // The product has no closed form, but like beta1^t it soon becomes zero.
        let mut early = Self::default();
        for step in 0..t {
            early.advance(settings, step, settings.lr);
            if early.product == 0 {
                break;
            }
        }
        powers.gamma_t = power(settings.gamma);
        powers.product = early.product;
        if settings.time_law == time_law::SCHEDULE_FREE {
            // As if the rate had been constant.
            (powers.gamma_t, powers.product) = (u64::from(t) << 32, settings.lr.to_bits().into());
        }
        powers
    }

    /// Advances the powers from step `t` to step `t + 1`, which has the learning rate `lr`.
    pub fn advance(&mut self, settings: &Settings, t: u32, lr: f32) {
        let first = t == 0;
        self.beta1_t = if first { settings.beta1 } else { product(self.beta1_t, settings.beta1) };
        self.beta2_t = if first { settings.beta2 } else { product(self.beta2_t, settings.beta2) };
        if settings.time_law == time_law::SCHEDULE_FREE {
            return self.weigh(lr);
        }
        if !matches!(settings.time_law, time_law::NADAM | time_law::NADAM_PLAIN) {
            return;
        }
        self.gamma_t = if first { settings.gamma } else { product(self.gamma_t, settings.gamma) };
        let mu = momentum(settings.beta1, self.gamma_t);
        self.product = if first { mu } else { product(self.product, mu) };
    }

    /// Adds the weight of a step to the sum of Schedule-Free: the square of the largest learning rate so far. The stored
    /// sum is divided by the last weight, so that it grows by 1, and is rescaled when the largest rate grows.
    fn weigh(&mut self, lr: f32) {
        let before = f32::from_bits(self.product as u32);
        if lr > before {
            let ratio = (before / lr) * (before / lr);
            self.gamma_t = if ratio < 1.0 { product(self.gamma_t, of_f32(ratio)) } else { self.gamma_t };
            self.product = lr.to_bits().into();
        }
        if self.product != 0 {
            self.gamma_t = self.gamma_t.saturating_add(1 << 32);
        }
    }

    /// The weight of the last step over the sum of the weights, for Schedule-Free.
    pub fn newest_weight(&self) -> f32 {
        if self.gamma_t == 0 { 0.0 } else { 1.0 / 4294967296.0 / fraction(self.gamma_t) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hyperparameters::Config;
    use crate::num::fixed::complement;

    #[test]
    fn a_clock_started_later_agrees_with_one_that_ran() {
        let settings = Settings::new(&Config::default());
        let mut clock = Powers::default();
        for t in 0..5_000 {
            clock.advance(&settings, t, settings.lr);
        }
        let jumped = Powers::at(5_000, &settings);
        assert_eq!(complement(jumped.beta2_t), complement(clock.beta2_t));
        assert!(jumped.beta2_t.abs_diff(clock.beta2_t) < 10_000);
    }
}
