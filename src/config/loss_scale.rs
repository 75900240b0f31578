//! The dynamic loss scale: how it is to move, and where it stands.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::num::mirror::mirror;

/// A loss scale that moves by itself, for gradients in formats in which small ones vanish: below 6e-8 in f16.
///
/// The caller multiplies the loss (or the gradient with which the backward pass begins) by the scale that the device holds
/// at that moment: [`Adam::loss_scale_buffer`](crate::Adam::loss_scale_buffer), or [`cpu::Adam::loss_scale`](crate::cpu::Adam::loss_scale). The step takes it back.
/// In code order:
///
/// ```text
/// norm = |grad| / scale                               (reported, and clipped by norm)
/// if norm or any element of grad is NaN or infinite:
///     no step
///     scale = max(scale * backoff_factor, 2^-64)
///     growth_tracker = 0
/// else:
///     step with g = grad / scale                      (as in Config; clipped before)
///     growth_tracker = growth_tracker + 1
///     if growth_tracker == growth_interval:
///         if scale * growth_factor <= 2^64:
///             scale = scale * growth_factor
///         growth_tracker = 0
/// ```
///
/// That is `torch.amp.GradScaler` with its defaults, and clipping as with its `unscale_` before `clip_grad_norm_`. What
/// differs: the finite guard is part of it, whatever [`Options::skip_nonfinite`](crate::Options::skip_nonfinite) says; it happens on the
/// device, so that any number of steps go into one submission; and the scale stays between 2^-64 and 2^64 (PyTorch's may
/// grow up to the largest f32, and shrink to zero): what the gradients are multiplied by, 1 / scale times the clip
/// coefficient, is zero below 2^-126.
///
/// Where the scale is a power of two, as with the defaults, taking it back changes no bit of a gradient on any driver.
/// A gradient above 2^64 without its scale counts as 2^64, as it does without the guard.
///
/// Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.2 (arXiv:1710.03740).
///
/// ```
/// use wgpu_adam::{LossScale, Options};
/// let options = Options { loss_scale: Some(LossScale::default()), ..Options::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossScale {
    /// The scale of the first step: from 2^-64 to 2^64. 65,536 by default.
    pub initial: f64,
    /// The scale is multiplied by it after [`growth_interval`](Self::growth_interval) steps in a row: above 1. 2 by default.
    pub growth_factor: f64,
    /// And after a skipped step by this: above 0 and below 1. 0.5 by default.
    pub backoff_factor: f64,
    /// Steps that must be applied since the scale last changed (or might have) until it grows: at least 1. 2,000 by default.
    pub growth_interval: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { initial: 65_536.0, growth_factor: 2.0, backoff_factor: 0.5, growth_interval: 2000 }
    }
}

/// Where a loss scale stands. The device holds it as 16 bytes: `scale`, `growth_tracker`, and 8 that are not used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScaleState {
    /// What the loss of the next step is to be multiplied by.
    pub scale: f32,
    /// Steps applied since the scale last changed, or might have.
    pub growth_tracker: u32,
}

/// Between these neither a scale nor what takes it back is near 2^-126, below which some devices have zeros.
pub(crate) const LEAST: f32 = f32::from_bits((127 - 64) << 23);

pub(crate) const MOST: f32 = f32::from_bits((127 + 64) << 23);

impl LossScale {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Self { initial, growth_factor, backoff_factor, growth_interval } = *self;
        let (growth, backoff) = (growth_factor as f32, backoff_factor as f32);
        for (field, given, good, need) in [
            ("loss_scale.initial", initial, is_scale(initial as f32), "from 2^-64 to 2^64"),
            ("loss_scale.growth_factor", growth_factor, growth > 1.0 && growth.is_finite(), "finite and above 1"),
            ("loss_scale.backoff_factor", backoff_factor, backoff > 0.0 && backoff < 1.0, "above 0 and below 1"),
            ("loss_scale.growth_interval", growth_interval.into(), growth_interval > 0, "at least 1"),
        ] {
            if !good {
                return Err(Error::Option { field, given, need });
            }
        }
        Ok(())
    }

    /// Where it begins.
    pub(crate) fn begin(&self) -> LossScaleState {
        LossScaleState { scale: self.initial as f32, growth_tracker: 0 }
    }
}

/// Whether a loss scale may have that value.
pub(crate) fn is_scale(scale: f32) -> bool {
    (LEAST..=MOST).contains(&scale)
}

mirror! {
    /// `LossScale` in `loss_scale.wgsl`.
    pub(crate) struct ScaleBytes {
        pub scale: f32,
        pub growth_tracker: u32,
        pub pad: [u32; 2],
    }
}

impl From<LossScaleState> for ScaleBytes {
    fn from(LossScaleState { scale, growth_tracker }: LossScaleState) -> Self {
        Self { scale, growth_tracker, pad: [0; 2] }
    }
}

impl From<ScaleBytes> for LossScaleState {
    fn from(ScaleBytes { scale, growth_tracker, .. }: ScaleBytes) -> Self {
        Self { scale, growth_tracker }
    }
}
