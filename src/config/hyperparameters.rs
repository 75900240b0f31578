//! What the user asks for: plain structs with `Default`, and the checks that they make sense.

use serde::{Deserialize, Serialize};

use crate::config::check::{check_below_one, check_non_negative};
use crate::config::variant::{Field, Variant};
use crate::error::Error;

/// The hyperparameters of one [`Group`](crate::Group).
///
/// The update of each element, in code order, for the default [`Variant::Adam`]. `grad` is the gradient after loss
/// scaling and clipping:
///
/// ```text
/// g     = -grad if maximize else grad
/// g     = g + weight_decay*param                  (Decay::L2 only)
/// m     = beta1*m + (1 - beta1)*g
/// v     = beta2*v + (1 - beta2)*g*g
/// m_hat = m / (1 - beta1^t)
/// v_hat = v / (1 - beta2^t)
/// step  = lr*m_hat / (sqrt(v_hat + eps_root) + eps)
/// param = param - step - lr*weight_decay*param    (last term: decoupled forms of Decay only)
/// param = min(max(param, param_min), param_max)   (if given)
/// ```
///
/// [`Variant`] gives the equations of the other rules, and says which fields a rule uses. A field that the rule does
/// not use must keep its default: [`Error::UnusedField`] names it otherwise. [`preset`](crate::preset) has the defaults
/// of PyTorch, optax and burn by name.
///
/// The defaults are those of `torch.optim.Adam`. Frameworks disagree about `eps` (burn: 1e-5) and about the weight
/// decay of AdamW (PyTorch: 1e-2, optax and burn: 1e-4; here none by default). PyTorch and optax multiply the decoupled
/// decay by `lr`, and so does this crate. Algorithm 2 of the AdamW paper multiplies it by the schedule only.
///
/// Sources: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1 (arXiv:1412.6980); Loshchilov &
/// Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 2 (arXiv:1711.05101).
///
/// ```
/// use wgpu_adam::{Config, Decay};
/// let adamw = Config { lr: 3e-4, decay: Decay::Decoupled(0.01), ..Config::default() };
/// assert_eq!(adamw.beta2, 0.999);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The learning rate: finite and not negative. The group's [`Schedule`](crate::Schedule) multiplies it. Default:
    /// 1e-3.
    pub lr: f64,
    /// The decay rate of the first moment `m`, in `[0, 1)`. Default: 0.9.
    pub beta1: f64,
    /// The decay rate of the second moment `v`, in `[0, 1)`. Default: 0.999.
    pub beta2: f64,
    /// The constant added to the divisor, outside the square root: finite and not negative. Default: 1e-8.
    ///
    /// It may be 0. (AdaMax needs more than that, and takes 2^-126 instead.) The limit is `v`: an increment `(1 - beta2)*g*g` below 2^-126 loses bits, and
    /// one below 2^-149 vanishes. A device that flushes small numbers to zero loses all of it below 2^-126, which is a
    /// gradient of 3.4e-18 for `beta2` = 0.999. A root of `v` that is zero is replaced by `2^-63 / sqrt(1 - beta2)`, for
    /// AdaGrad by 2^-63, so that a step has a bound all the same.
    pub eps: f64,
    /// The constant added to `v_hat`, inside the square root: finite and not negative. optax calls it `eps_root`;
    /// PyTorch does not have it. Default: 0.
    pub eps_root: f64,
    /// Divides the moments by `1 - beta^t`. Without it, the zeros that the moments start from bias the first steps.
    /// Default: true.
    pub bias_correction: bool,
    /// The update rule. Default: [`Variant::Adam`].
    pub variant: Variant,
    /// The weight decay. Default: [`Decay::None`].
    pub decay: Decay,
    /// Ascends instead of descending: the sign of the gradient is flipped first. Default: false.
    pub maximize: bool,
    /// The lower bound of the parameters, which are clamped after the update, in the same pass. A 16-bit parameter is
    /// rounded after it is clamped. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param_min: Option<f64>,
    /// The upper bound of the parameters: not below [`param_min`](Self::param_min). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param_max: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            eps_root: 0.0,
            bias_correction: true,
            variant: Variant::Adam,
            decay: Decay::None,
            maximize: false,
            param_min: None,
            param_max: None,
        }
    }
}

/// The weight decay, and where it enters the update. The number is the decay rate: finite and not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Decay {
    /// No decay.
    #[default]
    None,
    /// Coupled decay. The step adds `weight_decay*param` to the gradient, so that the decay passes through the moments,
    /// as with PyTorch's `Adam(weight_decay=…)`.
    L2(f64),
    /// Decoupled decay. The step subtracts `lr*weight_decay*param` from the parameter, as AdamW does.
    Decoupled(f64),
    /// Cautious decay: decoupled decay of those parameters only that the update moves towards zero anyway.
    ///
    /// ```text
    /// param = param - lr*u - (lr*weight_decay*param if u*param > 0 else 0)
    /// ```
    ///
    /// A parameter that is zero, or whose update is zero, does not decay. (kozistr's pytorch-optimizer decays it if
    /// `u*param >= 0`, which is the same but for a zero update.)
    ///
    /// Source: Chen et al. 2025, "Cautious Weight Decay", Algorithm 1 (arXiv:2510.12402).
    Cautious(f64),
    /// Corrected decay, of AdamC: decoupled decay that follows the schedule twice, so that the ratio of gradient and
    /// parameter norms of normalized layers does not rise at the end of a run.
    ///
    /// ```text
    /// param = param - lr*u - lr*(lr/lr_max)*weight_decay*param
    /// lr_max = config.lr * the largest factor of the schedule
    /// ```
    ///
    /// With a constant rate it is [`Decoupled`](Self::Decoupled). The paper applies it to layers that a normalization
    /// follows, and `Decoupled` to the others: use two groups.
    ///
    /// Source: Defazio 2025, "Why Gradients Rapidly Increase Near the End of Training", Algorithm 2 (arXiv:2506.02285).
    Corrected(f64),
}

impl Config {
    /// Whether it needs the kernels with limits: those that clip by value, clamp parameters and mask their decay.
    pub(crate) fn limits(&self) -> bool {
        self.param_min.is_some() || self.param_max.is_some() || matches!(self.decay, Decay::Cautious(_))
    }

    /// Checks that a group of this configuration can have that one: the rule must be the same, since it is compiled.
    pub(crate) fn check_change(&self, group: usize, next: &Self) -> Result<(), Error> {
        let (need, given) = (self.variant.rule(), next.variant.rule());
        if given == need {
            return Ok(());
        }
        Err(Error::OtherRule { group, given: format!("{given:?}"), need: format!("{need:?}") })
    }

    /// What the variant does not use must be at its default: a value that nothing reads is a mistake.
    fn check_unused(&self, group: usize) -> Result<(), Error> {
        for field in self.variant.unused() {
            let named = |config: &Self| match field {
                Field::Beta1 => ("beta1", format!("{:?}", config.beta1)),
                Field::Beta2 => ("beta2", format!("{:?}", config.beta2)),
                Field::Eps => ("eps", format!("{:?}", config.eps)),
                Field::EpsRoot => ("eps_root", format!("{:?}", config.eps_root)),
                Field::BiasCorrection => ("bias_correction", config.bias_correction.to_string()),
            };
            let ((field, given), (_, need)) = (named(self), named(&Self::default()));
            if given != need {
                return Err(Error::UnusedField { group, field, given, variant: self.variant.name(), need });
            }
        }
        Ok(())
    }

    /// Checks what would leave `z` and the parameters with different histories, or has no average.
    fn check_schedule_free(&self, group: usize) -> Result<(), Error> {
        if self.beta1 == 0.0 {
            return Err(Error::Config { group, field: "beta1", given: 0.0, need: "above 0 for Schedule-Free" });
        }
        for (field, bound) in [("param_min", self.param_min), ("param_max", self.param_max)] {
            if let Some(given) = bound {
                return Err(Error::Config { group, field, given, need: "absent for Schedule-Free: z has no bounds" });
            }
        }
        if let Decay::Cautious(given) = self.decay {
            let need = "Decay::Decoupled for Schedule-Free, whose decay is a part of the averaged step";
            return Err(Error::Config { group, field: "weight_decay", given, need });
        }
        Ok(())
    }

    /// Checks every value, in the order of the fields; `group` is only for the message.
    pub(crate) fn validate(&self, group: usize) -> Result<(), Error> {
        check_non_negative(group, "lr", self.lr)?;
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            check_below_one(group, field, beta)?;
        }
        check_non_negative(group, "eps", self.eps)?;
        check_non_negative(group, "eps_root", self.eps_root)?;
        self.variant.validate(group, self.beta2, self.eps_root)?;
        if self.variant == Variant::ScheduleFree {
            self.check_schedule_free(group)?;
        }
        self.check_unused(group)?;
        let (min, max) = (self.param_min.unwrap_or(f64::NEG_INFINITY), self.param_max.unwrap_or(f64::INFINITY));
        for (field, bound) in [("param_min", self.param_min), ("param_max", self.param_max)] {
            if let Some(given) = bound.filter(|bound| !(*bound as f32).is_finite()) {
                return Err(Error::Config { group, field, given, need: "finite" });
            }
        }
        if min as f32 > max as f32 {
            return Err(Error::Config { group, field: "param_max", given: max, need: "at least param_min" });
        }
        match self.decay {
            Decay::None => Ok(()),
            Decay::L2(weight_decay)
            | Decay::Decoupled(weight_decay)
            | Decay::Cautious(weight_decay)
            | Decay::Corrected(weight_decay) => check_non_negative(group, "weight_decay", weight_decay),
        }
    }
}
