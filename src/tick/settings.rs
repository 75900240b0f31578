//! A configuration as the device has it: the values that do not depend on t.

use crate::config::hyperparameters::{Config, Decay};
use crate::config::rule::Rule;
use crate::config::variant::Variant;
use crate::num::fixed::fixed;
use crate::num::mirror::mirror;

/// The root that replaces a zero root of `v`: 2^-63 / sqrt(1 - beta2). A gradient below it adds less than 2^-126 to `v`,
/// since that is `(1 - beta2)*g*g`, and many devices flush such numbers to zero. With a smaller divisor, such a gradient
/// would make an unbounded step.
pub(crate) fn min_root(beta2: f64) -> f32 {
    (2f64.powi(-63) / (1.0 - beta2).sqrt()) as f32
}

/// Time laws: how the scalars depend on t. The numbers are the same in `tick.wgsl`.
pub(crate) mod time_law {
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
    pub const ADOPT: u32 = 11;
    pub const ADEMAMIX: u32 = 12;
    pub const SCHEDULE_FREE: u32 = 13;
}

/// The time laws that have a case of their own in `tick.wgsl`.
const CASES: [&str; 12] = [
    "ADEMAMIX",
    "ADOPT",
    "AMSGRAD_OF_CORRECTED",
    "NADAM",
    "NADAM_PLAIN",
    "RADAM",
    "RADAM_EPS_ON_RAW",
    "CONSTANT",
    "RMSPROP",
    "ADAGRAD",
    "SGD",
    "SCHEDULE_FREE",
];

/// A set of cases: those that the variants of some rules can have. A module has no others, since they would take longer
/// to compile than all the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Laws(u16);

impl Laws {
    pub fn of(rules: impl Iterator<Item = Rule>) -> Self {
        let cases = |rule| match rule {
            Rule::Adam => &["RADAM", "RADAM_EPS_ON_RAW"][..],
            Rule::AmsGrad => &["AMSGRAD_OF_CORRECTED"],
            Rule::NAdam => &["NADAM", "NADAM_PLAIN"],
            Rule::AdaMax | Rule::AdaBelief | Rule::LaProp | Rule::Lamb | Rule::Stable | Rule::Cautious => &[],
            Rule::Adopt => &["ADOPT"],
            Rule::AdEmaMix => &["ADEMAMIX"],
            Rule::ScheduleFree => &["SCHEDULE_FREE"],
            Rule::Lion => &["CONSTANT"],
            Rule::RmsProp | Rule::RmsPropMomentum | Rule::RmsPropCentered | Rule::RmsPropCenteredMomentum => {
                &["RMSPROP"]
            }
            Rule::AdaGrad => &["ADAGRAD"],
            Rule::Momentum | Rule::Sgd => &["SGD"],
        };
        let bit = |case: &&str| CASES.iter().position(|known| known == case).map_or(0, |i| 1 << i);
        Self(rules.flat_map(cases).map(bit).fold(0, |all, bit| all | bit))
    }

    pub fn has(self, case: &str) -> bool {
        CASES.iter().position(|known| *known == case).is_some_and(|i| self.0 >> i & 1 == 1)
    }
}

mirror! {
    /// A configuration as the device has it. `Settings` in `tick.wgsl`.
    pub(crate) struct Settings {
        /// Betas count units of 2^-64. In memory, the lower 32 bits come first, as in WGSL.
        pub beta1: u64,
        pub beta2: u64,
        /// 0.96^momentum_decay, for NAdam.
        pub gamma: u64,
        pub lr: f32,
        pub eps: f32,
        pub eps_root: f32,
        pub min_root: f32,
        pub param_min: f32,
        pub param_max: f32,
        pub l2: f32,
        pub weight_decay: f32,
        /// 1 to multiply the decay by the learning rate once more: it is then divided by `lr`.
        pub decay_by_rate: u32,
        /// 1 to decay only parameters that the step moves towards zero.
        pub cautious: u32,
        /// -1 to maximize, else 1.
        pub sign: f32,
        /// How a moment moves towards its target: see [`averaging_rate`].
        pub m_rate: f32,
        pub v_rate: f32,
        pub m_from_target: u32,
        pub v_from_target: u32,
        pub time_law: u32,
        /// 1 for bias correction.
        pub corrected: u32,
        /// beta2, for AdaMax.
        pub adamax_beta2: f32,
        pub momentum: f32,
        /// SGD and RMSProp sum: m = momentum*m + x. Here `m` is instead an average of `m_gain * x`, for the precision
        /// that [`averaging_rate`] explains. The gain is (1 - dampening) / (1 - momentum).
        pub m_gain: f32,
        /// The gain of the first step, which is not dampened: 1 / (1 - momentum).
        pub m_gain_first: f32,
        /// 1 for Nesterov's momentum.
        pub nesterov: u32,
        /// 1 if `eps_root` is added to `v` itself, as in AdaBelief.
        pub eps_in_v: u32,
        /// 1 if the learning rate is in `m`.
        pub lr_in_momentum: u32,
        pub lr_decay: f32,
        /// h = -ln(beta2), for RAdam.
        pub rho_h: f32,
        /// For RAdam.
        pub rho_inf: f32,
        /// The weight of AdEMAMix's slow average, and the steps until it has it.
        pub alpha: f32,
        pub warmup: f32,
        /// The lives of the slow average, -1/ln(beta), at the beginning and at the end of the warm-up; its rate at the end.
        pub first_life: f32,
        pub last_life: f32,
        pub slow_rate: f32,
        // The fields from here on do not come from the configuration: a change of it leaves them alone.
        /// 0 if the clock's tensors take no part in the steps.
        pub is_active: u32,
        /// The unit whose norm clips the gradients, if there are units.
        pub unit: u32,
        /// The schedule's first curve, how many it has (0 for a constant rate), and the unit of its factors.
        pub first_curve: u32,
        pub curves: u32,
        pub schedule_unit: f32,
        /// 1 over the schedule's largest factor.
        pub inverse_peak: f32,
    }
}

impl Settings {
    /// Takes another configuration, and keeps the schedule and whether the clock is active.
    pub fn reconfigure(&mut self, config: &Config) {
        let Self { is_active, unit, first_curve, curves, schedule_unit, inverse_peak, .. } = *self;
        *self = Self { is_active, unit, first_curve, curves, schedule_unit, inverse_peak, ..Self::new(config) };
    }

    pub fn new(config: &Config) -> Self {
        let (l2, weight_decay) = match config.decay {
            Decay::None => (0.0, 0.0),
            Decay::L2(weight_decay) => (weight_decay, 0.0),
            Decay::Decoupled(weight_decay) | Decay::Cautious(weight_decay) => (0.0, weight_decay),
            Decay::Corrected(weight_decay) if config.lr > 0.0 => (0.0, weight_decay / config.lr),
            Decay::Corrected(_) => (0.0, 0.0),
        };
        let (m_rate, m_from_target) = averaging_rate(config.beta1);
        let (v_rate, v_from_target) = averaging_rate(config.beta2);
        let mut settings = Self {
            beta1: fixed(config.beta1),
            beta2: fixed(config.beta2),
            gamma: 0,
            lr: config.lr as f32,
            eps: config.eps as f32,
            eps_root: config.eps_root as f32,
            min_root: min_root(config.beta2),
            param_min: config.param_min.map_or(f32::NEG_INFINITY, |min| min as f32),
            param_max: config.param_max.map_or(f32::INFINITY, |max| max as f32),
            l2: l2 as f32,
            weight_decay: weight_decay as f32,
            decay_by_rate: matches!(config.decay, Decay::Corrected(_)).into(),
            cautious: matches!(config.decay, Decay::Cautious(_)).into(),
            sign: if config.maximize { -1.0 } else { 1.0 },
            m_rate,
            v_rate,
            m_from_target,
            v_from_target,
            corrected: config.bias_correction.into(),
            m_gain: 1.0,
            is_active: 1,
            inverse_peak: 1.0,
            ..Self::default()
        };
        settings.time_law = match config.variant {
            Variant::Adam | Variant::LaProp | Variant::Lamb | Variant::Stable | Variant::Cautious => time_law::ADAM,
            Variant::AdaBelief => {
                settings.eps_in_v = 1;
                time_law::ADAM
            }
            Variant::AmsGrad { of_corrected: false } => time_law::AMSGRAD,
            Variant::AmsGrad { of_corrected: true } => time_law::AMSGRAD_OF_CORRECTED,
            Variant::AdaMax => {
                settings.adamax_beta2 = config.beta2 as f32;
                // Without a gradient, the step is 0 / eps.
                settings.eps = settings.eps.max(f32::MIN_POSITIVE);
                time_law::ADAM
            }
            Variant::NAdam { momentum_decay: Some(decay) } => {
                // Without decay, gamma is 1, which is not representable. 1 - 2^-64 serves as well.
                settings.gamma = fixed(libm::pow(0.96, decay));
                time_law::NADAM
            }
            Variant::NAdam { momentum_decay: None } => time_law::NADAM_PLAIN,
            Variant::RAdam { eps_on_raw } => {
                settings.rho_h = -libm::log(config.beta2) as f32;
                settings.rho_inf = ((1.0 + config.beta2) / (1.0 - config.beta2)) as f32;
                if eps_on_raw { time_law::RADAM_EPS_ON_RAW } else { time_law::RADAM }
            }
            Variant::Adopt => {
                // The first step and a zero v must not divide by zero.
                settings.eps = settings.eps.max(min_root(config.beta2));
                time_law::ADOPT
            }
            Variant::AdEmaMix { beta3, alpha, warmup } => {
                let life = |beta: f64| if beta > 0.0 { -1.0 / libm::log(beta) } else { 0.0 };
                (settings.alpha, settings.warmup) = (alpha as f32, warmup as f32);
                (settings.first_life, settings.last_life) = (life(config.beta1) as f32, life(beta3) as f32);
                settings.slow_rate = (1.0 - beta3) as f32;
                time_law::ADEMAMIX
            }
            Variant::ScheduleFree => time_law::SCHEDULE_FREE,
            Variant::Lion => time_law::CONSTANT,
            Variant::RmsProp { momentum, nesterov, lr_in_momentum, .. } => {
                (settings.m_rate, settings.m_from_target) = averaging_rate(momentum);
                settings.m_gain = (1.0 / (1.0 - momentum)) as f32;
                settings.nesterov = (nesterov && momentum != 0.0).into();
                settings.lr_in_momentum = (lr_in_momentum && momentum != 0.0).into();
                settings.momentum = momentum as f32;
                time_law::RMSPROP
            }
            Variant::AdaGrad { lr_decay, .. } => {
                settings.lr_decay = lr_decay as f32;
                settings.min_root = min_root(0.0);
                time_law::ADAGRAD
            }
            Variant::Sgd { momentum, dampening, nesterov } => {
                (settings.m_rate, settings.m_from_target) = averaging_rate(momentum);
                settings.m_gain = ((1.0 - dampening) / (1.0 - momentum)) as f32;
                settings.m_gain_first = (1.0 / (1.0 - momentum)) as f32;
                settings.nesterov = (nesterov && momentum != 0.0).into();
                settings.momentum = momentum as f32;
                time_law::SGD
            }
        };
        settings
    }
}

impl Settings {
    /// Whether the step count of a row corrects the bias of its moments.
    pub fn corrected_by_row(&self) -> bool {
        self.corrected != 0 && matches!(self.time_law, time_law::ADAM | time_law::AMSGRAD)
    }
}

/// The rate of an exponential average, and 1 if it counts from the target `x` or 0 if it counts from the average. The
/// average becomes `base + rate*(x - average)`. The base is the average and the rate is `1 - beta`. If beta is below a
/// half, the base is the target and the rate is `-beta`. So beta = 0 gives the target exactly. For a beta near 1,
/// `1 - beta` is rounded and not beta: relative to `1 - beta`, a rounding error of beta is `1 / (1 - beta)` times as
/// large.
fn averaging_rate(beta: f64) -> (f32, u32) {
    if beta < 0.5 { (-beta as f32, 1) } else { ((1.0 - beta) as f32, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_root() {
        assert_eq!((min_root(0.0), min_root(0.75)), (2f32.powi(-63), 2f32.powi(-62)));
    }
}
