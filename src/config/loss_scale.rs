//! The dynamic loss scale: its configuration and its state.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::num::mirror::mirror;

/// A dynamic loss scale, for gradients in formats that underflow. f16 loses gradients below 6e-8.
///
/// The caller multiplies the loss, or the gradient at the start of the backward pass, by the current scale. On the GPU
/// the scale is in a buffer, [`Adam::loss_scale_buffer`](crate::Adam::loss_scale_buffer). On the CPU,
/// [`cpu::Adam::loss_scale`](crate::cpu::Adam::loss_scale) returns it. The step divides the gradients by the scale and
/// updates the scale:
///
/// ```text
/// norm = |grad| / scale                               (reported, and used for clipping)
/// if norm or any element of grad is NaN or infinite:
///     skip the step
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
/// This is `torch.amp.GradScaler` with its defaults, and with its `unscale_` before `clip_grad_norm_`. There are three
/// differences. The step always skips non-finite gradients, with or without
/// [`Options::skip_nonfinite`](crate::Options::skip_nonfinite). The device decides, so that any number of steps fit in
/// one submission. The scale stays between 2^-64 and 2^64; PyTorch's may grow to the largest f32 or shrink to zero.
///
/// Here the factors are rounded to f32. PyTorch multiplies the scale by a factor in float64 and rounds the product to
/// f32. If f32 has the factor, as it has 2, 1.5 and 0.5, the scales are equal to the last bit. Otherwise, with 0.6 for
/// example, each change of the scale differs from PyTorch's by at most 3 roundings, 1.8e-7 of the scale.
///
/// A power of two scales gradients exactly, on every driver. The default factors keep the scale a power of two. A
/// gradient above 2^64 after unscaling counts as 2^64.
///
/// Sources: Micikevicius et al. 2018, "Mixed Precision Training", section 3.2 (arXiv:1710.03740); PyTorch's kernels
/// `_amp_update_scale_` in `aten/src/ATen/native/cuda/AmpKernels.cu` and `cpu/AmpGradScalerKernels.cpp`.
///
/// ```
/// use wgpu_adam::{Config, LossScale, Options, cpu};
/// let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]);
/// let options = Options { loss_scale: Some(LossScale::default()), ..Options::default() };
/// let mut adam = cpu::Adam::new(&[group], options)?;
/// let (mut w, mut grad) = ([1.0], [f32::INFINITY]); // the backward pass overflowed
/// let report = adam.step(&mut [cpu::TensorMut::new(&mut w, &mut grad)])?;
/// assert_eq!((w, report.last_skipped, adam.loss_scale()), ([1.0], true, Some(32_768.0)));
/// # Ok::<(), wgpu_adam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossScale {
    /// The scale of the first step, from 2^-64 to 2^64. Default: 65,536.
    pub initial: f64,
    /// The factor after [`growth_interval`](Self::growth_interval) applied steps in a row: finite and above 1. Default:
    /// 2.
    pub growth_factor: f64,
    /// The factor after a skipped step: above 0 and below 1. Default: 0.5.
    pub backoff_factor: f64,
    /// The number of applied steps in a row after which the scale grows: at least 1. Default: 2,000.
    pub growth_interval: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { initial: 65_536.0, growth_factor: 2.0, backoff_factor: 0.5, growth_interval: 2000 }
    }
}

/// The state of a [`LossScale`]. On the device it is 16 bytes: `scale`, `growth_tracker`, the scale of the last step, and padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScaleState {
    /// The factor for the loss of the next step.
    pub scale: f32,
    /// The number of steps applied in a row since the scale last changed or reached its limit.
    pub growth_tracker: u32,
}

/// Within these bounds neither the scale nor its inverse is near 2^-126, below which some devices flush to zero.
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

    /// The initial state.
    pub(crate) fn begin(&self) -> LossScaleState {
        LossScaleState { scale: self.initial as f32, growth_tracker: 0 }
    }
}

/// Whether a loss scale may have this value.
pub(crate) fn is_scale(scale: f32) -> bool {
    (LEAST..=MOST).contains(&scale)
}

mirror! {
    /// [`LossScaleState`] as the device has it: the struct `LossScale` in `loss_scale.wgsl`.
    pub(crate) struct ScaleBytes {
        pub scale: f32,
        pub growth_tracker: u32,
        /// The scale of the gradients of the last step.
        pub used: f32,
        pub pad: u32,
    }
}

impl From<LossScaleState> for ScaleBytes {
    fn from(LossScaleState { scale, growth_tracker }: LossScaleState) -> Self {
        Self { scale, growth_tracker, used: scale, pad: 0 }
    }
}

impl From<ScaleBytes> for LossScaleState {
    fn from(ScaleBytes { scale, growth_tracker, .. }: ScaleBytes) -> Self {
        Self { scale, growth_tracker }
    }
}
