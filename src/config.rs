//! What the user asks for: plain structs with `Default`, and the checks that they make sense.

use serde::{Deserialize, Serialize};

use crate::{Error, LossScale, Precision, Variant};

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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
pub enum Decay {
    /// No decay.
    #[default]
    None,
    /// Coupled: `weight_decay*param` is added to the gradient and goes through both moments (PyTorch's `Adam(weight_decay=…)`).
    L2(f64),
    /// Decoupled: `lr*weight_decay*param` is taken from the parameter beside the step (AdamW).
    Decoupled(f64),
}

/// What holds for all groups of one optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Gradient clipping, before the moments.
    pub clip: Clip,
    /// The finite guard: a step in which any gradient is NaN or infinite, or would overflow when squared, is skipped
    /// whole, and so is one in which their norm overflows. `param`, `m`, `v` and `t` stay as they were; the
    /// [`Report`](crate::Report) counts the skip and names the tensor.
    pub guard: bool,
    /// Set the gradients to zero in the same pass over memory. They are zeroed in a skipped step too, so that a NaN does
    /// not live on in buffers that the caller accumulates into.
    pub zero_grad: bool,
    /// How what is remembered is stored, and how 16-bit parameters are rounded. All in f32 by default.
    pub precision: Precision,
    /// The loss was multiplied by a scale that the device holds: take it back, and let it grow and back off. It implies the
    /// guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

/// Gradient clipping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Clip {
    /// No clipping.
    #[default]
    None,
    /// Scale all gradients of all groups by `min(1, max_norm / (norm + 1e-6))`, where `norm` is the 2-norm of all of
    /// them together. This is PyTorch's `clip_grad_norm_`; optax's `clip_by_global_norm` has no 1e-6.
    /// The norm itself neither overflows nor underflows, whatever the gradients' magnitude. A factor below 2^-126 is zero.
    GlobalNorm(f64),
    /// Clamp each gradient to `[-limit, limit]`.
    Value(f64),
}

impl Config {
    /// Checks every value, in the order of the fields; `group` is only for the message.
    pub(crate) fn validate(&self, group: usize) -> Result<(), Error> {
        rate(group, "lr", self.lr)?;
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            below_one(group, field, beta)?;
        }
        rate(group, "eps", self.eps)?;
        rate(group, "eps_root", self.eps_root)?;
        self.variant.validate(group, self.beta2)?;
        match self.decay {
            Decay::None => Ok(()),
            Decay::L2(weight_decay) | Decay::Decoupled(weight_decay) => rate(group, "weight_decay", weight_decay),
        }
    }
}

/// A value that must be in [0, 1).
pub(crate) fn below_one(group: usize, field: &'static str, given: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&given) { Ok(()) } else { Err(Error::Config { group, field, given, need: "in [0, 1)" }) }
}

/// A value that must be finite in f32 and not negative.
pub(crate) fn rate(group: usize, field: &'static str, given: f64) -> Result<(), Error> {
    if given >= 0.0 && (given as f32).is_finite() {
        Ok(())
    } else {
        Err(Error::Config { group, field, given, need: "finite and not negative" })
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.precision.validate()?;
        self.loss_scale.map_or(Ok(()), |scale| scale.validate())?;
        match self.clip {
            Clip::None => Ok(()),
            Clip::GlobalNorm(limit) | Clip::Value(limit) if limit > 0.0 && (limit as f32).is_finite() => Ok(()),
            Clip::GlobalNorm(given) => {
                Err(Error::Option { field: "clip (global norm)", given, need: "finite and above 0" })
            }
            Clip::Value(given) => Err(Error::Option { field: "clip (value)", given, need: "finite and above 0" }),
        }
    }

    /// Whether a step with a bad gradient is skipped.
    pub(crate) fn guards(&self) -> bool {
        self.guard || self.loss_scale.is_some()
    }

    /// Whether a step begins with a pass over all gradients.
    pub(crate) fn reads_norm(&self) -> bool {
        self.guards() || matches!(self.clip, Clip::GlobalNorm(_))
    }
}
