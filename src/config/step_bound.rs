//! Bounds on the size of a step, in units of the learning rate.

use crate::config::hyperparameters::Config;
use crate::config::variant::Variant;

impl Config {
    /// Returns the bound on `|step| / lr` that the paper gives, for Adam, AMSGrad and AdaMax.
    ///
    /// ```text
    /// Adam, AMSGrad   max(1, (1 - beta1) / sqrt(1 - beta2))       Kingma & Ba 2015, section 2.1
    /// AdaMax          1                                           section 7.1
    /// ```
    ///
    /// The bound holds while the gradients do not grow. A single gradient after many zeros reaches it. Gradients that
    /// grow from step to step exceed it, up to [`step_bound`](Self::step_bound).
    ///
    /// ```
    /// let config = wgpu_adam::Config::default();
    /// assert!((config.paper_bound().unwrap() - 3.162).abs() < 1e-3);
    /// assert!((config.step_bound().unwrap() - 7.270).abs() < 1e-3);
    /// ```
    pub fn paper_bound(&self) -> Option<f64> {
        match self.variant {
            Variant::Adam | Variant::AmsGrad { .. } | Variant::Stable => {
                Some(((1.0 - self.beta1) / (1.0 - self.beta2).sqrt()).max(1.0))
            }
            Variant::AdaMax => Some(1.0),
            _ => None,
        }
    }

    /// Returns the bound on `|step| / lr` that holds for all gradients, up to rounding and without decoupled decay.
    /// `None` if the rule has no bound.
    ///
    /// | | |
    /// |---|---|
    /// | Adam, AMSGrad, StableAdamW | `(1 - beta1) / sqrt((1 - beta2) * (1 - beta1^2/beta2))` where `beta1^2 < beta2` |
    /// | AdaMax | `(1 - beta1) / (1 - beta1/beta2)` where `beta1 < beta2` |
    /// | RMSProp | `1 / sqrt(1 - beta2) / (1 - momentum)`; none if centered, or with momentum and `lr_in_momentum` |
    /// | LaProp | `1 / sqrt(1 - beta2)` |
    /// | AdaGrad, Lion | 1 |
    ///
    /// Adam's bound follows from the Cauchy-Schwarz inequality. With `g_k` the gradient `k` steps ago, `m^2 = ((1-b1)
    /// sum b1^k g_k)^2 <= (1-b1)^2 * sum (b1^2/b2)^k * sum b2^k g_k^2`, and the last sum is `v/(1-b2)`. AdaMax's bound
    /// follows from `|g_k| <= v/b2^k`. Bias correction does not raise a bound. The bounds hold for constant betas, and
    /// if [`set_t`](crate::Adam::set_t) has not turned the clock back.
    pub fn step_bound(&self) -> Option<f64> {
        let Self { beta1, beta2, .. } = *self;
        let lone = 1.0 / (1.0 - beta2).sqrt();
        match self.variant {
            Variant::Adam | Variant::AmsGrad { .. } | Variant::Stable if beta1 == 0.0 => Some(lone),
            Variant::Adam | Variant::AmsGrad { .. } | Variant::Stable => {
                (beta1 * beta1 < beta2).then(|| (1.0 - beta1) * lone / (1.0 - beta1 * beta1 / beta2).sqrt())
            }
            Variant::AdaMax if beta1 == 0.0 => Some(1.0),
            Variant::AdaMax => (beta1 < beta2).then(|| (1.0 - beta1) / (1.0 - beta1 / beta2)),
            Variant::RmsProp { centered: true, .. } => None,
            Variant::RmsProp { lr_in_momentum: true, momentum, .. } if momentum != 0.0 => None,
            Variant::RmsProp { momentum, .. } => Some(lone / (1.0 - momentum)),
            Variant::LaProp => Some(lone),
            Variant::AdaGrad { .. } | Variant::Lion => Some(1.0),
            _ => None,
        }
    }
}
