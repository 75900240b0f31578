//! What the user asks for: plain structs with `Default`, and the checks that they make sense.

use serde::{Deserialize, Serialize};

use crate::config::check::{check_below_one, check_non_negative};
use crate::config::variant::{Field, Variant};
use crate::error::Error;

/// The configuration of one [`Group`](crate::Group): which Adam, and how fast.
///
/// The update, in code order, for each element with gradient `grad` (after clipping):
///
/// ```text
/// g     = -grad if maximize else grad
/// g     = g + weight_decay*param                  (Decay::L2 only)
/// m     = beta1*m + (1 - beta1)*g
/// v     = beta2*v + (1 - beta2)*g*g
/// m_hat = m / (1 - beta1^t)
/// v_hat = v / (1 - beta2^t)
/// param = param - lr*m_hat / (sqrt(v_hat) + eps) - lr*weight_decay*param   (last term: Decay::Decoupled only)
/// ```
///
/// Defaults are those of `torch.optim.Adam`: `lr` 1e-3, `beta1` 0.9, `beta2` 0.999, `eps` 1e-8, no decay.
/// Frameworks differ in `eps` (burn: 1e-5) and in the decay of their AdamW (PyTorch: 1e-2, optax: 1e-4).
/// As in PyTorch and optax, and unlike Algorithm 1 of the AdamW paper, the decoupled decay is multiplied by `lr`.
///
/// Sources: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1 (arXiv:1412.6980);
/// Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 2 (arXiv:1711.05101).
///
/// ```
/// use wgpu_adam::{Config, Decay};
/// let adamw = Config { lr: 3e-4, decay: Decay::Decoupled(0.01), ..Config::default() };
/// assert_eq!(adamw.beta2, 0.999);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Learning rate α, the step's size: finite and not negative. Each step moves a parameter by at most about `lr`.
    pub lr: f64,
    /// Decay rate of the first moment `m`, in `[0, 1)`.
    pub beta1: f64,
    /// Decay rate of the second moment `v`, in `[0, 1)`.
    pub beta2: f64,
    /// Added to `sqrt(v_hat)`, outside the root: finite and not negative.
    pub eps: f64,
    /// Added to `v_hat`, inside the root (optax's `eps_root`): finite and not negative. 0 in PyTorch.
    pub eps_root: f64,
    /// Divide the moments by `1 - beta^t`. Without it the first steps are those of moments that began at zero.
    pub bias_correction: bool,
    /// Which rule of the family.
    pub variant: Variant,
    /// Weight decay: none, coupled, or decoupled.
    pub decay: Decay,
    /// Climb instead of descend: the gradient's sign is turned before anything else.
    pub maximize: bool,
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
        }
    }
}

/// Weight decay, and where it enters the update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Decay {
    /// No decay.
    #[default]
    None,
    /// Coupled: `weight_decay*param` is added to the gradient and goes through both moments (PyTorch's `Adam(weight_decay=…)`).
    L2(f64),
    /// Decoupled: `lr*weight_decay*param` is taken from the parameter beside the step (AdamW).
    Decoupled(f64),
}

impl Config {
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

    /// Checks every value, in the order of the fields; `group` is only for the message.
    pub(crate) fn validate(&self, group: usize) -> Result<(), Error> {
        check_non_negative(group, "lr", self.lr)?;
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            check_below_one(group, field, beta)?;
        }
        check_non_negative(group, "eps", self.eps)?;
        check_non_negative(group, "eps_root", self.eps_root)?;
        self.variant.validate(group, self.beta2)?;
        self.check_unused(group)?;
        match self.decay {
            Decay::None => Ok(()),
            Decay::L2(weight_decay) | Decay::Decoupled(weight_decay) => {
                check_non_negative(group, "weight_decay", weight_decay)
            }
        }
    }
}
