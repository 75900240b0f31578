//! The family: each rule with its conventions, and where frameworks disagree.
//!
//! To add one: its line in [`Variant`] here with its code in `Settings::new`; what depends on time in `Scalars::new` of
//! `clock.rs` and in `tick_clock` of `tick.wgsl`; its rule in `shaders/rules/` and, by the same name, in `cpu/rules.rs`.

use serde::{Deserialize, Serialize};

use crate::config::check::{check_below_one, check_non_negative};
use crate::config::rule::Rule;
use crate::error::Error;

/// Which rule makes the step. `g` is the gradient after clipping, sign and coupled decay; `m_hat` and `v_hat` are the
/// moments divided by `1 - beta^t` (as they are, without [`bias_correction`](crate::Config::bias_correction)); the step is
/// `param = param - lr*u`, and decoupled decay comes beside it, as in [`Config`](crate::Config).
///
/// What a rule does not name, it neither stores nor moves: Lion has no `v`, plain RMSProp no `m`, plain SGD neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Variant {
    /// `u = m_hat / (sqrt(v_hat + eps_root) + eps)`. Kingma & Ba 2015, Algorithm 1; with
    /// [`Decay::Decoupled`](crate::Decay::Decoupled) AdamW.
    #[default]
    Adam,
    /// Adam with the largest second moment so far: `v_max = max(v_max, v)`,
    /// `u = m_hat / (sqrt(v_max / (1 - beta2^t)) + eps)` in PyTorch; Reddi, Kale & Kumar 2018 (without bias correction there).
    AmsGrad {
        /// optax: the maximum is of `v_hat`, `u = m_hat / (sqrt(v_max + eps_root) + eps)`.
        of_corrected: bool,
    },
    /// The infinity norm: `v = max(beta2*v, |g| + eps)`, `u = m_hat / v`. Kingma & Ba 2015, Algorithm 2 (there without
    /// `eps`; PyTorch and optax add it to `|g|`).
    AdaMax,
    /// Nesterov's momentum in Adam. Dozat 2016.
    NAdam {
        /// `Some(0.004)` is PyTorch: `mu(t) = beta1*(1 - 0.96^(t*momentum_decay)/2)`,
        /// `u = (mu(t+1)*m/(1 - mu(1)*..*mu(t+1)) + (1 - mu(t))*g/(1 - mu(1)*..*mu(t))) / (sqrt(v_hat) + eps)`.
        /// `None` is Dozat's plain form, as in optax:
        /// `u = (beta1*m/(1 - beta1^(t+1)) + (1 - beta1)*g/(1 - beta1^t)) / (sqrt(v_hat + eps_root) + eps)`.
        momentum_decay: Option<f64>,
    },
    /// Rectified Adam: `rho = rho_inf - 2*t*beta2^t/(1 - beta2^t)` with `rho_inf = 2/(1 - beta2) - 1`; where it is above 5
    /// Adam's step times `sqrt((rho-4)*(rho-2)*rho_inf / ((rho_inf-4)*(rho_inf-2)*rho))`, before that `u = m_hat`.
    /// Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond". Needs beta2 above 2/3.
    RAdam {
        /// PyTorch adds `eps` to the root of the raw `v`, before that is corrected; optax to the corrected root.
        eps_on_raw: bool,
    },
    /// The variance around `m` in place of the second moment: `v = beta2*v + (1 - beta2)*(g - m)^2 + eps_root`, with the
    /// new `m`; `u = m_hat / (sqrt(v_hat) + eps)`. Zhuang et al. 2020, "AdaBelief Optimizer". Defaults there and in optax:
    /// `eps` = `eps_root` = 1e-16.
    AdaBelief,
    /// `u = sign(beta1*m + (1 - beta1)*g)`, then `m = beta2*m + (1 - beta2)*g`. Chen et al. 2023, "Symbolic Discovery of
    /// Optimization Algorithms". `beta2` = 0.99 there and in optax.
    Lion,
    /// `v = beta2*v + (1 - beta2)*g^2`, `u = g / (sqrt(v_hat + eps_root) + eps)`; with momentum `m = momentum*m + u` and
    /// `u = m`. PyTorch calls beta2 `alpha` (0.99) and optax `decay` (0.9); neither corrects the bias by default.
    RmsProp {
        /// 0 for none: then there is no `m`.
        momentum: f64,
        /// optax's nesterov: `u + momentum*m` in place of `m`.
        nesterov: bool,
        /// optax: `m = momentum*m + lr*u` (with the opposite sign there), so that a new learning rate does not reach what
        /// `m` holds.
        lr_in_momentum: bool,
        /// What `v` begins with (optax's `initial_scale`).
        initial: f64,
    },
    /// `v = v + g^2`, `u = g / (sqrt(v + eps_root) + eps)`, with `lr / (1 + (t - 1)*lr_decay)`. Duchi, Hazan & Singer 2011.
    /// PyTorch has `eps` = 1e-10 outside of the root, optax 1e-7 inside, and begins with 0.1.
    AdaGrad {
        /// PyTorch's `lr_decay`.
        lr_decay: f64,
        /// What `v` begins with.
        initial: f64,
    },
    /// `m = momentum*m + (1 - dampening)*g` (in the first step `m = g`), `u = m`, or `u = g + momentum*m` with Nesterov's;
    /// without momentum `u = g`. PyTorch's convention: the learning rate is not in `m`.
    Sgd {
        /// 0 for none: then there is no `m`.
        momentum: f64,
        /// PyTorch's `dampening`.
        dampening: f64,
        /// Look ahead.
        nesterov: bool,
    },
}

/// A field of a [`Config`](crate::Config) that not every variant uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Beta1,
    Beta2,
    Eps,
    EpsRoot,
    BiasCorrection,
}

impl Variant {
    /// Its name in error messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::AmsGrad { .. } => "AMSGrad",
            Self::AdaMax => "AdaMax",
            Self::NAdam { .. } => "NAdam",
            Self::RAdam { .. } => "RAdam",
            Self::AdaBelief => "AdaBelief",
            Self::Lion => "Lion",
            Self::RmsProp { .. } => "RMSProp",
            Self::AdaGrad { .. } => "AdaGrad",
            Self::Sgd { .. } => "SGD",
        }
    }

    /// The fields of a configuration that the variant does not use.
    pub(crate) fn unused(&self) -> &'static [Field] {
        match self {
            Self::AdaMax => &[Field::EpsRoot],
            Self::Lion => &[Field::Eps, Field::EpsRoot, Field::BiasCorrection],
            Self::RmsProp { .. } => &[Field::Beta1],
            Self::AdaGrad { .. } => &[Field::Beta1, Field::Beta2, Field::BiasCorrection],
            Self::Sgd { .. } => &[Field::Beta1, Field::Beta2, Field::Eps, Field::EpsRoot, Field::BiasCorrection],
            _ => &[],
        }
    }

    pub(crate) fn rule(&self) -> Rule {
        match *self {
            Self::Adam | Self::RAdam { .. } => Rule::Adam,
            Self::AmsGrad { .. } => Rule::AmsGrad,
            Self::AdaMax => Rule::AdaMax,
            Self::NAdam { .. } => Rule::NAdam,
            Self::AdaBelief => Rule::AdaBelief,
            Self::Lion => Rule::Lion,
            Self::RmsProp { momentum: 0.0, .. } => Rule::RmsProp,
            Self::RmsProp { .. } => Rule::RmsPropMomentum,
            Self::AdaGrad { .. } => Rule::AdaGrad,
            Self::Sgd { momentum: 0.0, .. } => Rule::Sgd,
            Self::Sgd { .. } => Rule::Momentum,
        }
    }

    /// What `v` begins with.
    pub(crate) fn initial(&self) -> f32 {
        match *self {
            Self::RmsProp { initial, .. } | Self::AdaGrad { initial, .. } => initial as f32,
            _ => 0.0,
        }
    }

    pub(crate) fn validate(&self, group: usize, beta2: f64) -> Result<(), Error> {
        match *self {
            Self::NAdam { momentum_decay: Some(decay) } => check_non_negative(group, "momentum_decay", decay),
            Self::RAdam { .. } if beta2 <= 2.0 / 3.0 => {
                Err(Error::Config { group, field: "beta2", given: beta2, need: "above 2/3 for RAdam" })
            }
            Self::RmsProp { momentum, nesterov, initial, .. } => {
                check_below_one(group, "momentum", momentum)?;
                check_momentum(group, momentum, nesterov, "above 0 with nesterov")?;
                check_non_negative(group, "initial", initial)
            }
            Self::AdaGrad { lr_decay, initial } => {
                check_non_negative(group, "lr_decay", lr_decay)?;
                check_non_negative(group, "initial", initial)
            }
            Self::Sgd { momentum, dampening, nesterov } => {
                check_below_one(group, "momentum", momentum)?;
                check_non_negative(group, "dampening", dampening)?;
                check_momentum(group, momentum, nesterov, "above 0 with nesterov")?;
                check_momentum(group, momentum, dampening != 0.0, "above 0 with dampening")?;
                if nesterov && dampening != 0.0 {
                    let need = "0 with nesterov";
                    return Err(Error::Config { group, field: "dampening", given: dampening, need });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What only momentum uses is an error without it.
fn check_momentum(group: usize, momentum: f64, needed: bool, need: &'static str) -> Result<(), Error> {
    if needed && momentum == 0.0 {
        return Err(Error::Config { group, field: "momentum", given: momentum, need });
    }
    Ok(())
}
