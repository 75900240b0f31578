//! The dynamic loss scale: its inverse, and how it adapts. Twin of `loss_scale.wgsl`.

use crate::config::loss_scale::{LEAST, LossScale, LossScaleState, MOST};

/// 1 over the scale, which unscales the gradients. Exact if the scale is a power of two.
pub(crate) fn inverse_scale(state: Option<LossScaleState>) -> f32 {
    state.map_or(1.0, |state| 1.0 / state.scale)
}

/// Adapts the scale for the next step.
pub(crate) fn adapt_scale(options: &LossScale, state: &mut LossScaleState, skipped: bool) {
    if skipped {
        state.scale = (state.scale * options.backoff_factor as f32).max(LEAST);
        state.growth_tracker = 0;
        return;
    }
    state.growth_tracker = state.growth_tracker.wrapping_add(1);
    if state.growth_tracker >= options.growth_interval {
        let grown = state.scale * options.growth_factor as f32;
        state.scale = if grown <= MOST { grown } else { state.scale };
        state.growth_tracker = 0;
    }
}
