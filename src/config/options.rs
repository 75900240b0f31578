//! What holds for all groups of one optimizer.

use serde::{Deserialize, Serialize};

use crate::config::loss_scale::LossScale;
use crate::config::precision::Precision;
use crate::error::Error;

/// What holds for all groups of one optimizer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Gradient clipping, before the moments.
    pub clip: Clip,
    /// The finite skip_nonfinite: a step in which any gradient is NaN or infinite, or would overflow when squared, is skipped
    /// whole, and so is one in which their norm overflows. `param`, `m`, `v` and `t` stay as they were; the
    /// [`Report`](crate::Report) counts the skip and names the tensor.
    pub skip_nonfinite: bool,
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
#[non_exhaustive]
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

impl Options {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.precision.validate()?;
        self.loss_scale.as_ref().map_or(Ok(()), |scale| scale.validate())?;
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
        self.skip_nonfinite || self.loss_scale.is_some()
    }

    /// Whether a step begins with a pass over all gradients.
    pub(crate) fn reads_norm(&self) -> bool {
        self.guards() || matches!(self.clip, Clip::GlobalNorm(_))
    }
}
