//! Options of a whole optimizer.

use serde::{Deserialize, Serialize};

use crate::config::loss_scale::LossScale;
use crate::config::precision::Precision;
use crate::error::Error;

/// Options of a whole optimizer.
///
/// ```
/// use wgpu_adam::{Clip, Options};
/// let options = Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Gradient clipping, before the moments. Default: [`Clip::None`].
    pub clip: Clip,
    /// Skips a step whose gradients are not finite. Default: false.
    ///
    /// A step is skipped if any gradient is NaN or infinite, or if the norm of all gradients overflows. Without clipping
    /// and without a loss scale, it is also skipped if a gradient overflows when squared. A skipped step leaves parameters, moments and `t` unchanged. The [`Report`](crate::Report) counts it
    /// and names the tensor.
    pub skip_nonfinite: bool,
    /// The most steps to skip in a row. The step after them is applied although its gradients are not finite, so that a
    /// run that cannot recover is noticed and does not stand still in silence: a NaN in a gradient makes its parameter
    /// NaN, or all parameters with [`Clip::GlobalNorm`]. The count then restarts. Needs
    /// [`skip_nonfinite`](Self::skip_nonfinite), and no [`loss_scale`](Self::loss_scale), which skips until it fits.
    /// Default: no limit.
    ///
    /// optax's `apply_if_finite` with `max_consecutive_errors` is similar. It applies all further steps until a finite
    /// one. PyTorch has no such limit. The [`Report`](crate::Report) has the count in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_skipped_in_a_row: Option<u32>,
    /// Sets the gradients to zero after they are read, in the same pass over memory. Default: false.
    ///
    /// A skipped step zeroes them too, so that a NaN does not survive in accumulated gradients.
    pub zero_grad: bool,
    /// The number of calls of `step` that make one step: a step on each `accumulate`-th call, with the sum of the gradients of
    /// these calls over their number. At least 1. Default: each call makes a step.
    ///
    /// ```text
    /// grad = (sum of the gradients of the calls) * (1 / accumulate)
    /// ```
    ///
    /// The caller lets the backward passes add to the gradients. The device counts the calls. All other calls change nothing:
    /// neither parameters, nor moments, nor gradients, nor the loss scale. Clipping and skipping look at the averaged gradients of
    /// the step, and [`zero_grad`](Self::zero_grad) zeroes after the step only. The count is a part of the
    /// [`State`](crate::State). It restarts with [`set_t`](crate::Adam::set_t).
    ///
    /// In PyTorch, the loss is divided by the number, and a loop on the host calls the optimizer. optax's `MultiSteps` keeps an
    /// average of the gradients in a buffer of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<u32>,
    /// Shares the norm of the gradients with other optimizers, which have other tensors or parts of tensors, so that all clip
    /// and skip alike: see [`Adam::norm`](crate::Adam::norm). Default: false.
    ///
    /// It has no effect if no norm is needed: without clipping by a norm, [`skip_nonfinite`](Self::skip_nonfinite) and a
    /// loss scale.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub share_norm: bool,
    /// The precision of state and parameters, for groups that have no [`precision`](crate::Group::precision) of their
    /// own. Default: all in f32.
    pub precision: Precision,
    /// A dynamic loss scale on the device. It implies [`skip_nonfinite`](Self::skip_nonfinite). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

/// Gradient clipping. The limit is finite and above 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Clip {
    /// No clipping.
    #[default]
    None,
    /// Clips by the global norm of all gradients of all groups:
    ///
    /// ```text
    /// norm = sqrt(sum of grad^2 over all tensors)
    /// grad = grad * min(1, max_norm / (norm + 1e-6))
    /// ```
    ///
    /// This is PyTorch's `clip_grad_norm_`. optax's `clip_by_global_norm` does not add 1e-6. The norm neither overflows
    /// nor underflows, at any magnitude of the gradients. A factor below 2^-126 is 0.
    GlobalNorm(f64),
    /// Clamps each gradient to `[-limit, limit]`.
    Value(f64),
}

/// Checks that an optimizer can use the loss scale of another.
pub(crate) fn check_shareable(follower: &Options, leader: &Options) -> Result<(), Error> {
    match (&follower.loss_scale, &leader.loss_scale) {
        (Some(own), Some(other)) if own == other => Ok(()),
        (Some(_), Some(_)) => Err(Error::NotShareable { reason: "the options of both must have the same loss_scale" }),
        _ => Err(Error::NotShareable { reason: "the options of both must have a loss_scale" }),
    }
}

/// Clipping of a group's gradients by a norm of their own, before [`Options::clip`]. The limit is finite and above 0.
///
/// ```text
/// norm = sqrt(sum of grad^2 over the group, or over one tensor)
/// grad = grad * min(1, max_norm / (norm + 1e-6))
/// ```
///
/// [`Clip::GlobalNorm`] then uses the norm of the gradients that are clipped in this way. The reported norm is of the
/// gradients as they are.
///
/// In PyTorch, this is `clip_grad_norm_` with the parameters of one group, or with each parameter alone. burn's
/// `GradientClipping::Norm` clips each tensor alone.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GroupClip {
    /// Clips by the norm of all gradients of the group.
    Group(f64),
    /// Clips each tensor by the norm of its own gradients.
    Tensor(f64),
}

impl GroupClip {
    /// The limit.
    pub(crate) fn max_norm(self) -> f64 {
        let (Self::Group(max_norm) | Self::Tensor(max_norm)) = self;
        max_norm
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.precision.validate(None)?;
        self.loss_scale.as_ref().map_or(Ok(()), |scale| scale.validate())?;
        if let Some(given) = self.max_skipped_in_a_row
            && (self.loss_scale.is_some() || !self.skip_nonfinite)
        {
            let need = "none unless skip_nonfinite is set and there is no loss scale";
            return Err(Error::Option { field: "max_skipped_in_a_row", given: given.into(), need });
        }
        if self.accumulate == Some(0) {
            return Err(Error::Option { field: "accumulate", given: 0.0, need: "at least 1" });
        }
        match self.clip {
            Clip::None => Ok(()),
            Clip::GlobalNorm(limit) | Clip::Value(limit) if limit > 0.0 && (limit as f32).is_finite() => Ok(()),
            Clip::GlobalNorm(given) => {
                Err(Error::Option { field: "clip (global norm)", given, need: "finite and above 0" })
            }
            Clip::Value(given) => Err(Error::Option { field: "clip (value)", given, need: "finite and above 0" }),
        }
    }

    /// The share of each accumulated gradient in the gradient of a step.
    pub(crate) fn share(&self) -> f32 {
        (1.0 / f64::from(self.accumulate.unwrap_or(1))) as f32
    }

    /// Whether a step with a non-finite gradient is skipped.
    pub(crate) fn guards(&self) -> bool {
        self.skip_nonfinite || self.loss_scale.is_some()
    }

    /// Whether a step begins with a pass over all gradients.
    pub(crate) fn reads_norm(&self) -> bool {
        self.guards() || matches!(self.clip, Clip::GlobalNorm(_))
    }
}
