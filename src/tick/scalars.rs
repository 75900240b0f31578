//! The scalars of a step, made from the settings and t. Twin of `tick.wgsl`.

use crate::num::fixed::{complement, fraction, product};
use crate::num::mirror::mirror;
use crate::tick::powers::{Powers, momentum};
use crate::tick::settings::{Settings, time_law};

mirror! {
    /// What the update needs for one step of one clock. `Scalars` in `scalars.wgsl`.
    pub(crate) struct Scalars {
        /// 1 to apply the step, 0 to make none.
        pub do_step: u32,
        /// Multiplies the gradient: the sign, the clip coefficient and [`unscale`](Self::unscale).
        pub grad_mul: f32,
        pub l2: f32,
        pub m_rate: f32,
        pub v_rate: f32,
        pub m_from_target: u32,
        pub v_from_target: u32,
        /// Multiplies `m`, or the gradient if the rule has no `m`: for Adam the learning rate over `1 - beta1^t`.
        pub m_coef: f32,
        /// Multiplies the gradient, or the slow average of AdEMAMix, which is added to `m`.
        pub g_coef: f32,
        /// Multiplies the root of `v`: for Adam 1 over the root of `1 - beta2^t`.
        pub v_coef: f32,
        /// Replaces `sqrt(v) * v_coef` where it is zero.
        pub min_root: f32,
        /// The bound of ADOPT's normalized gradient.
        pub bound: f32,
        /// The rate of AdEMAMix's slow average.
        pub slow_rate: f32,
        /// The weight of the newest `z` in the average of Schedule-Free.
        pub newest_weight: f32,
        /// The decay that is a part of the direction of Schedule-Free.
        pub inner_decay: f32,
        /// Multiplies `v` for the maximum of AMSGrad.
        pub max_coef: f32,
        pub eps: f32,
        pub eps_root: f32,
        pub adamax_beta2: f32,
        pub m_gain: f32,
        /// Multiplies `param`: the learning rate times the decoupled decay.
        pub decay: f32,
        /// The limit of clipping by value; infinite without it.
        pub limit: f32,
        /// The bounds of the parameters; infinite without them.
        pub param_min: f32,
        pub param_max: f32,
        /// 1 to decay only parameters that the step moves towards zero.
        pub cautious: u32,
        /// Steps applied, including this one.
        pub t: u32,
        /// The learning rate of this step.
        pub lr: f32,
        /// Multiplies `|m| / sqrt(v)` for the signal-to-noise ratio: the bias corrections of both.
        pub snr: f32,
        /// 1 over the loss scale and the number of accumulated gradients.
        pub unscale: f32,
        /// 1 to leave the gradients as they are: more are accumulated before the step.
        pub keep_grad: u32,
    }
}

/// The padding of a slot of scalars in units of 32 bits. The size of a slot is a valid offset of a uniform binding.
pub(crate) const SCALAR_PADDING: usize = (256 - size_of::<Scalars>()) / 4;

/// Flushes numbers below 2^-126 to zero. Some drivers do so and others do not; here the result is the same on all.
pub(crate) fn normal_or_zero(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

/// The values of a step that are the same for all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    /// The coefficient of clipping by global norm.
    pub clip_coef: f32,
    /// The coefficient of clipping by the norm of the clock's unit.
    pub unit_coef: f32,
    /// 1 over the loss scale and the number of accumulated gradients.
    pub unscale: f32,
    /// The limit of clipping by value. Infinite without.
    pub limit: f32,
}

impl Decision {
    /// Without clipping and loss scale.
    #[cfg(test)]
    pub const PLAIN: Self = Self { clip_coef: 1.0, unit_coef: 1.0, unscale: 1.0, limit: f32::INFINITY };
}

impl Scalars {
    /// Whether gradients are clipped by value, parameters are clamped or their decay is masked.
    pub fn limits(&self) -> bool {
        self.cautious != 0 || self.limit.is_finite() || self.param_min.is_finite() || self.param_max.is_finite()
    }

    /// The scalars of step `t`, to which `powers` have just advanced.
    pub fn new(s: &Settings, powers: &Powers, t: u32, lr: f32, decision: &Decision) -> Self {
        let Decision { clip_coef, unit_coef, unscale, limit } = *decision;
        let corrected = s.corrected != 0;
        let correction1 = if corrected { complement(powers.beta1_t) } else { 1.0 };
        let correction2 = if corrected { complement(powers.beta2_t) } else { 1.0 };
        let mut scalars = Self {
            do_step: 1,
            grad_mul: normal_or_zero(s.sign * clip_coef * unit_coef * unscale),
            l2: s.l2,
            m_rate: s.m_rate,
            v_rate: s.v_rate,
            m_from_target: s.m_from_target,
            v_from_target: s.v_from_target,
            m_coef: lr / correction1,
            g_coef: 0.0,
            v_coef: 1.0 / correction2.sqrt(),
            min_root: s.min_root,
            bound: 0.0,
            slow_rate: 0.0,
            newest_weight: 0.0,
            inner_decay: 0.0,
            max_coef: 1.0,
            eps: s.eps,
            // The root is of v, not of v_hat, so `eps_root` must shrink as v does.
            eps_root: s.eps_root * correction2,
            adamax_beta2: s.adamax_beta2,
            m_gain: s.m_gain,
            decay: lr * s.weight_decay * if s.decay_by_rate != 0 { lr * s.inverse_peak } else { 1.0 },
            limit,
            param_min: s.param_min,
            param_max: s.param_max,
            cautious: s.cautious,
            t,
            lr,
            snr: correction2.sqrt() / correction1,
            unscale,
            keep_grad: 0,
        };
        match s.time_law {
            time_law::AMSGRAD_OF_CORRECTED => {
                scalars.max_coef = 1.0 / correction2;
                scalars.v_coef = 1.0;
                scalars.eps_root = s.eps_root;
            }
            time_law::NADAM => {
                let mu = momentum(s.beta1, powers.gamma_t);
                let next = momentum(s.beta1, product(powers.gamma_t, s.gamma));
                let correction = if corrected { complement(powers.product) } else { 1.0 };
                let correction_next = if corrected { complement(product(powers.product, next)) } else { 1.0 };
                scalars.m_coef = lr * fraction(next) / correction_next;
                scalars.g_coef = lr * complement(mu) / correction;
            }
            time_law::NADAM_PLAIN => {
                let correction_next = if corrected { complement(product(powers.beta1_t, s.beta1)) } else { 1.0 };
                scalars.m_coef = lr * fraction(s.beta1) / correction_next;
                scalars.g_coef = lr * complement(s.beta1) / correction1;
            }
            time_law::RADAM | time_law::RADAM_EPS_ON_RAW => {
                let rho = rho(s, powers, t);
                if rho > 5.0 {
                    // All quotients are near 1, so that no rounding error is the same in every step. Such errors would
                    // add up.
                    let end = s.rho_inf;
                    let mut squared = (rho - 4.0) / (end - 4.0) * ((rho - 2.0) / (end - 2.0)) * (end / rho);
                    if s.time_law == time_law::RADAM_EPS_ON_RAW {
                        squared *= correction2;
                        scalars.v_coef = 1.0;
                    }
                    scalars.m_coef *= squared.sqrt();
                } else {
                    // The step is m_hat: the divisor is 1.
                    scalars.v_coef = 0.0;
                    scalars.eps = 1.0;
                }
            }
            time_law::ADEMAMIX => {
                let done = if s.warmup > 0.0 { (t as f32 / s.warmup).min(1.0) } else { 1.0 };
                let life = (1.0 - done) * s.first_life + done * s.last_life;
                let grows = done < 1.0 && life < s.last_life;
                scalars.slow_rate = if grows { rate_of_life(life) } else { s.slow_rate };
                scalars.g_coef = lr * (done * s.alpha);
            }
            time_law::SCHEDULE_FREE => {
                let weight = powers.newest_weight();
                let beta1 = fraction(s.beta1);
                scalars.newest_weight = weight;
                scalars.m_coef = lr * (complement(s.beta1) + beta1 * weight);
                scalars.m_gain = lr * beta1;
                scalars.inner_decay = s.weight_decay * if s.decay_by_rate != 0 { lr * s.inverse_peak } else { 1.0 };
                scalars.decay = 0.0;
            }
            time_law::ADOPT => {
                scalars.m_coef = lr;
                scalars.bound = ((t - 1) as f32).sqrt().sqrt();
                if t == 1 {
                    (scalars.v_rate, scalars.v_from_target) = (0.0, 1);
                }
            }
            time_law::CONSTANT => scalars.m_coef = lr,
            time_law::RMSPROP => {
                scalars.m_gain = if s.lr_in_momentum != 0 { lr * s.m_gain } else { s.m_gain };
                let outside = if s.lr_in_momentum != 0 { 1.0 } else { lr };
                scalars.m_coef = outside;
                if s.nesterov != 0 {
                    scalars.m_coef = outside * s.momentum;
                    scalars.g_coef = lr;
                }
            }
            time_law::ADAGRAD => {
                scalars.m_coef = lr / (1.0 + (t - 1) as f32 * s.lr_decay);
                scalars.v_coef = 1.0;
                scalars.eps_root = s.eps_root;
            }
            time_law::SGD => {
                scalars.m_gain = if t == 1 { s.m_gain_first } else { s.m_gain };
                scalars.m_coef = lr;
                if s.nesterov != 0 {
                    scalars.m_coef = lr * s.momentum;
                    scalars.g_coef = lr;
                }
            }
            _ => {}
        }
        if s.eps_in_v != 0 {
            scalars.eps_root = s.eps_root;
        }
        scalars
    }
}

/// `1 - exp(-1/life)`, without cancellation. The quotient is the series of x/(1 - exp(-x)) around 0, for 1/32 of x. Each
/// doubling of x squares `1 - rate`.
fn rate_of_life(life: f32) -> f32 {
    let x = (1.0 / life).min(16.0) / 32.0;
    let xx = x * x;
    let mut rate = x / (1.0 + 0.5 * x + xx * (1.0 / 12.0 - xx * (1.0 / 720.0 - xx * (1.0 / 30240.0))));
    for _ in 0..5 {
        rate *= 2.0 - rate;
    }
    rate
}

/// RAdam's `rho_inf - 2*t*beta2^t/(1 - beta2^t)`. This difference cancels while y = t*h is small, with h = -ln(beta2).
/// For small y its series in h is used instead. The series follows from y/(e^y - 1) = 1 - y/2 + y^2/12 - y^4/720 +
/// y^6/30240 - y^8/1209600 (Bernoulli's numbers) and the same for t = 1.
pub(crate) fn rho(s: &Settings, powers: &Powers, t: u32) -> f32 {
    let (t, h) = (t as f32, s.rho_h);
    let y = t * h;
    if y < 1.0 {
        let series = |x: f32, y2: f32| {
            x * x * h * (1.0 / 6.0 - y2 * (1.0 / 360.0 - y2 * (1.0 / 15120.0 - y2 * (1.0 / 604800.0))))
        };
        return t - (series(t, y * y) - series(1.0, h * h));
    }
    s.rho_inf - 2.0 * t * fraction(powers.beta2_t) / complement(powers.beta2_t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hyperparameters::Config;

    /// `1 - beta^t` in f64, without cancellation.
    fn correction(beta: f64, t: u64) -> f64 {
        -(t as f64 * beta.ln()).exp_m1()
    }

    #[test]
    fn bias_corrections_are_within_2e_7_of_float64() {
        for beta in [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999] {
            let settings = Settings::new(&Config { beta1: beta, beta2: beta, ..Config::default() });
            let check = |clock: &Powers, t: u64| {
                let want = correction(beta, t);
                let got = f64::from(complement(clock.beta2_t));
                assert!(((got - want) / want).abs() < 1e-7, "beta {beta}, t {t}: {got} for {want}");
                let want_coef = 1.0 / want.sqrt();
                let scalars = Scalars::new(&settings, clock, t as u32, 1e-3, &Decision::PLAIN);
                let got_coef = f64::from(scalars.v_coef);
                assert!(
                    ((got_coef - want_coef) / want_coef).abs() < 2e-7,
                    "beta {beta}, t {t}: {got_coef} for {want_coef}"
                );
            };
            let mut clock = Powers::default();
            for t in 1..=20_000 {
                clock.advance(&settings, t as u32 - 1, settings.lr);
                check(&clock, t);
            }
            for t in [1_000_000, 1_000_000_000] {
                check(&Powers::at(t, &settings), u64::from(t));
            }
        }
    }
}
