//! Exact powers of beta, and what a configuration becomes at step t: the twin of `tick.wgsl`.
//!
//! `beta^t` is kept as a 64-bit integer that counts units of 2^-64. Integer arithmetic is the same on every driver, and
//! `1 - beta^t` is a negation, so the bias corrections lose nothing to cancellation: in f32, `1 - beta2^t` is wrong by
//! 2e-5 in the first steps. Each multiplication truncates by at most 2^-64, so after a billion steps `beta^t` is off by
//! less than 1e-10, long after it has left `1 - beta^t` = 1.

use crate::fixed::{complement, fixed, fraction, power, product};
use crate::{Config, Decay, Variant};

/// The smallest `eps` that is used, 2^-63 / sqrt(1 - beta2). A gradient below it has a square whose part in `v`,
/// `(1 - beta2)*g*g`, is below 2^-126, and such numbers many devices take for zero; with a smaller `eps` such a gradient
/// would make a step without bound. Above it, adding it changes nothing.
fn min_eps(beta2: f64) -> f32 {
    (2f64.powi(-63) / (1.0 - beta2).sqrt()) as f32
}

/// A group's clock: steps applied, and what was multiplied up over them. The layout is `GroupClock` in `tick.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Powers {
    /// beta1^t and beta2^t.
    pub power1: u64,
    pub power2: u64,
    /// gamma^t, and the product of mu(1) to mu(t): of NAdam in PyTorch's form.
    pub power3: u64,
    pub product: u64,
}

/// `mu(t) = beta1*(1 - gamma^t/2)`, NAdam's momentum, with `gamma` = 0.96^momentum_decay.
fn momentum(beta1: u64, gamma_power: u64) -> u64 {
    let half = gamma_power >> 1;
    if half == 0 { beta1 } else { product(beta1, half.wrapping_neg()) }
}

impl Powers {
    /// After `t` steps.
    pub fn at(t: u32, settings: &Settings) -> Self {
        let power = |beta| power(beta, u64::from(t));
        let mut powers = Self { power1: power(settings.beta1), power2: power(settings.beta2), ..Self::default() };
        // The product has no short cut, but it soon comes to nothing, as beta1^t does.
        let mut early = Self::default();
        for step in 0..t {
            early.advance(settings, step);
            if early.product == 0 {
                break;
            }
        }
        powers.power3 = power(settings.gamma);
        powers.product = early.product;
        powers
    }

    /// One step more than `t`.
    pub fn advance(&mut self, settings: &Settings, t: u32) {
        let first = t == 0;
        self.power1 = if first { settings.beta1 } else { product(self.power1, settings.beta1) };
        self.power2 = if first { settings.beta2 } else { product(self.power2, settings.beta2) };
        self.power3 = if first { settings.gamma } else { product(self.power3, settings.gamma) };
        let mu = momentum(settings.beta1, self.power3);
        self.product = if first { mu } else { product(self.product, mu) };
    }
}

/// What becomes of a configuration over time: which scalars are made. The numbers are those of `tick.wgsl`.
mod kind {
    pub const ADAM: u32 = 0;
    pub const AMSGRAD: u32 = 1;
    pub const AMSGRAD_OF_CORRECTED: u32 = 2;
    pub const NADAM: u32 = 3;
    pub const NADAM_PLAIN: u32 = 4;
    pub const RADAM: u32 = 5;
    pub const RADAM_EPS_ON_RAW: u32 = 6;
    pub const CONSTANT: u32 = 7;
    pub const RMSPROP: u32 = 8;
    pub const ADAGRAD: u32 = 9;
    pub const SGD: u32 = 10;
}

/// A configuration as the GPU has it: what does not depend on time. The layout is `Settings` in `tick.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Settings {
    /// Units of 2^-64; in memory the low word is first, as in WGSL.
    pub beta1: u64,
    pub beta2: u64,
    /// 0.96^momentum_decay, of NAdam.
    pub gamma: u64,
    pub lr: f32,
    pub eps: f32,
    pub eps_root: f32,
    pub l2: f32,
    pub weight_decay: f32,
    /// -1 to maximize, else 1.
    pub sign: f32,
    /// How a moment moves towards its target: see [`rate`].
    pub m_rate: f32,
    pub v_rate: f32,
    pub m_from_target: u32,
    pub v_from_target: u32,
    pub kind: u32,
    /// 1 for bias correction.
    pub corrected: u32,
    /// AdaMax's beta2.
    pub keep: f32,
    pub momentum: f32,
    /// Where `m` is a sum, momentum*m + x, it is kept as an average of x/(1 - momentum), for the reasons of [`rate`]: that
    /// factor, with 1 - dampening in it; and without, for the first step.
    pub take: f32,
    pub take_first: f32,
    /// 1 for Nesterov's momentum.
    pub nesterov: u32,
    /// 1 where `eps_root` is added to v itself: AdaBelief.
    pub eps_in_v: u32,
    /// 1 where the learning rate is in `m`.
    pub lr_in_momentum: u32,
    pub lr_decay: f32,
    /// Of RAdam: h = -ln(beta2), and rho_inf.
    pub rho_h: f32,
    pub rho_inf: f32,
    /// Where the schedule is in the list of phases, how many it has (0 for a constant rate), and in what unit its factors are.
    pub first_phase: u32,
    pub phases: u32,
    pub scale: f32,
    pub pad: u32,
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
        let mut settings = Self {
            beta1: fixed(config.beta1),
            beta2: fixed(config.beta2),
            gamma: 0,
            lr: config.lr as f32,
            eps: (config.eps as f32).max(min_eps(config.beta2)),
            eps_root: config.eps_root as f32,
            l2: l2 as f32,
            weight_decay: weight_decay as f32,
            sign: if config.maximize { -1.0 } else { 1.0 },
            m_rate,
            v_rate,
            m_from_target,
            v_from_target,
            corrected: config.bias_correction.into(),
            take: 1.0,
            ..Self::default()
        };
        settings.kind = match config.variant {
            Variant::Adam => kind::ADAM,
            Variant::AdaBelief => {
                settings.eps_in_v = 1;
                kind::ADAM
            }
            Variant::AmsGrad { of_corrected: false } => kind::AMSGRAD,
            Variant::AmsGrad { of_corrected: true } => kind::AMSGRAD_OF_CORRECTED,
            Variant::AdaMax => {
                settings.keep = config.beta2 as f32;
                kind::ADAM
            }
            Variant::NAdam { momentum_decay: Some(decay) } => {
                // Without decay gamma is 1, which is not representable, and 1 - 2^-64 as good.
                settings.gamma = fixed(0.96f64.powf(decay));
                kind::NADAM
            }
            Variant::NAdam { momentum_decay: None } => kind::NADAM_PLAIN,
            Variant::RAdam { eps_on_raw } => {
                settings.rho_h = -config.beta2.ln() as f32;
                settings.rho_inf = ((1.0 + config.beta2) / (1.0 - config.beta2)) as f32;
                if eps_on_raw { kind::RADAM_EPS_ON_RAW } else { kind::RADAM }
            }
            Variant::Lion => kind::CONSTANT,
            Variant::RmsProp { momentum, nesterov, lr_in_momentum, .. } => {
                (settings.m_rate, settings.m_from_target) = rate(momentum);
                settings.take = (1.0 / (1.0 - momentum)) as f32;
                settings.nesterov = (nesterov && momentum != 0.0).into();
                settings.lr_in_momentum = (lr_in_momentum && momentum != 0.0).into();
                settings.momentum = momentum as f32;
                kind::RMSPROP
            }
            Variant::AdaGrad { lr_decay, .. } => {
                settings.lr_decay = lr_decay as f32;
                kind::ADAGRAD
            }
            Variant::Sgd { momentum, dampening, nesterov } => {
                // In the first step m is g, without dampening.
                (settings.m_rate, settings.m_from_target) = rate(momentum);
                settings.take = ((1.0 - dampening) / (1.0 - momentum)) as f32;
                settings.take_first = (1.0 / (1.0 - momentum)) as f32;
                settings.nesterov = (nesterov && momentum != 0.0).into();
                settings.momentum = momentum as f32;
                kind::SGD
            }
        };
        settings
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
    /// Times the gradient: the sign, the clip coefficient, and [`unscale`](Self::unscale).
    pub scale: f32,
    pub l2: f32,
    pub m_rate: f32,
    pub v_rate: f32,
    pub m_from_target: u32,
    pub v_from_target: u32,
    /// Times `m` (or the gradient, where there is no `m`): for Adam the learning rate over `1 - beta1^t`.
    pub m_coef: f32,
    /// Times the gradient, beside `m`.
    pub g_coef: f32,
    /// Times the root of `v`: for Adam 1 over the root of `1 - beta2^t`.
    pub v_coef: f32,
    /// Times `v`, for the maximum of AMSGrad.
    pub max_coef: f32,
    pub eps: f32,
    pub eps_root: f32,
    pub keep: f32,
    pub take: f32,
    /// Times `param`: the learning rate times the decoupled decay.
    pub decay: f32,
    /// Clip by value.
    pub limit: f32,
    /// Steps applied, with this one, and its learning rate.
    pub t: u32,
    pub lr: f32,
    /// Times `|m| / sqrt(v)`, for the signal-to-noise ratio: the bias corrections of both.
    pub snr: f32,
    /// Takes the loss scale back from the gradient: 1 over it.
    pub unscale: f32,
}

/// Below 2^-126 some drivers have zeros and others do not: here it is zero on all.
pub(crate) fn normal_or_zero(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

impl Scalars {
    /// The scalars of step `t`, to which `powers` have just advanced.
    pub fn new(s: &Settings, powers: &Powers, t: u32, lr: f32, clip_coef: f32, unscale: f32, limit: f32) -> Self {
        let corrected = s.corrected != 0;
        let correction1 = if corrected { complement(powers.power1) } else { 1.0 };
        let correction2 = if corrected { complement(powers.power2) } else { 1.0 };
        let mut scalars = Self {
            do_step: 1,
            scale: normal_or_zero(s.sign * clip_coef * unscale),
            l2: s.l2,
            m_rate: s.m_rate,
            v_rate: s.v_rate,
            m_from_target: s.m_from_target,
            v_from_target: s.v_from_target,
            m_coef: lr / correction1,
            g_coef: 0.0,
            v_coef: 1.0 / correction2.sqrt(),
            max_coef: 1.0,
            eps: s.eps,
            // The root is of v: what is added to v_hat must be made as much smaller as v is.
            eps_root: s.eps_root * correction2,
            keep: s.keep,
            take: s.take,
            decay: lr * s.weight_decay,
            limit,
            t,
            lr,
            snr: correction2.sqrt() / correction1,
            unscale,
        };
        match s.kind {
            kind::AMSGRAD_OF_CORRECTED => {
                scalars.max_coef = 1.0 / correction2;
                scalars.v_coef = 1.0;
                scalars.eps_root = s.eps_root;
            }
            kind::NADAM => {
                let mu = momentum(s.beta1, powers.power3);
                let next = momentum(s.beta1, product(powers.power3, s.gamma));
                let correction = if corrected { complement(powers.product) } else { 1.0 };
                let correction_next = if corrected { complement(product(powers.product, next)) } else { 1.0 };
                scalars.m_coef = lr * fraction(next) / correction_next;
                scalars.g_coef = lr * complement(mu) / correction;
            }
            kind::NADAM_PLAIN => {
                let correction_next = if corrected { complement(product(powers.power1, s.beta1)) } else { 1.0 };
                scalars.m_coef = lr * fraction(s.beta1) / correction_next;
                scalars.g_coef = lr * complement(s.beta1) / correction1;
            }
            kind::RADAM | kind::RADAM_EPS_ON_RAW => {
                let rho = rho(s, powers, t);
                if rho > 5.0 {
                    // Quotients near 1, so that no rounding is the same in each step: that would add up.
                    let end = s.rho_inf;
                    let mut squared = (rho - 4.0) / (end - 4.0) * ((rho - 2.0) / (end - 2.0)) * (end / rho);
                    if s.kind == kind::RADAM_EPS_ON_RAW {
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
            kind::CONSTANT => scalars.m_coef = lr,
            kind::RMSPROP => {
                scalars.take = if s.lr_in_momentum != 0 { lr * s.take } else { s.take };
                let outside = if s.lr_in_momentum != 0 { 1.0 } else { lr };
                scalars.m_coef = outside;
                if s.nesterov != 0 {
                    scalars.m_coef = outside * s.momentum;
                    scalars.g_coef = lr;
                }
            }
            kind::ADAGRAD => {
                scalars.m_coef = lr / (1.0 + (t - 1) as f32 * s.lr_decay);
                scalars.eps_root = s.eps_root;
            }
            kind::SGD => {
                scalars.take = if t == 1 { s.take_first } else { s.take };
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

/// RAdam's `rho_inf - 2*t*beta2^t/(1 - beta2^t)`. That difference cancels while y = t*h is small, with h = -ln(beta2); there
/// its series in h is used instead, from y/(e^y - 1) = 1 - y/2 + y^2/12 - y^4/720 + y^6/30240 - y^8/1209600 (Bernoulli's
/// numbers) and the same for t = 1.
fn rho(s: &Settings, powers: &Powers, t: u32) -> f32 {
    let (t, h) = (t as f32, s.rho_h);
    let y = t * h;
    if y < 1.0 {
        let series = |x: f32, y2: f32| {
            x * x * h * (1.0 / 6.0 - y2 * (1.0 / 360.0 - y2 * (1.0 / 15120.0 - y2 * (1.0 / 604800.0))))
        };
        return t - (series(t, y * y) - series(1.0, h * h));
    }
    s.rho_inf - 2.0 * t * fraction(powers.power2) / complement(powers.power2)
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
            let check = |clock: &Powers, t: u64| {
                let (want, got) = (correction(beta, t), f64::from(complement(clock.power2)));
                assert!(((got - want) / want).abs() < 1e-7, "beta {beta}, t {t}: {got} for {want}");
                let (want, got) = (
                    1.0 / want.sqrt(),
                    f64::from(Scalars::new(&settings, clock, t as u32, 1e-3, 1.0, 1.0, 0.0).v_coef),
                );
                assert!(((got - want) / want).abs() < 2e-7, "beta {beta}, t {t}: {got} for {want}");
            };
            let mut clock = Powers::default();
            for t in 1..=20_000 {
                clock.advance(&settings, t as u32 - 1);
                check(&clock, t);
            }
            for t in [1_000_000, 1_000_000_000] {
                check(&Powers::at(t, &settings), u64::from(t));
            }
        }
    }

    #[test]
    fn a_clock_started_later_agrees_with_one_that_ran() {
        let settings = Settings::new(&Config::default());
        let mut clock = Powers::default();
        for t in 0..5_000 {
            clock.advance(&settings, t);
        }
        let jumped = Powers::at(5_000, &settings);
        assert_eq!(complement(jumped.power2), complement(clock.power2));
        assert!(jumped.power2.abs_diff(clock.power2) < 10_000);
    }

    #[test]
    fn the_smallest_eps() {
        assert_eq!((min_eps(0.0), min_eps(0.75)), (2f32.powi(-63), 2f32.powi(-62)));
    }
}
