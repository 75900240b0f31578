//! The dynamic loss scale: its inverse, and how it adapts. Twin of `loss_scale.wgsl`.

use crate::config::loss_scale::{LEAST, LossScale, MOST, ScaleBytes};

/// 1 over the scale of this step, which unscales the gradients. Exact if the scale is a power of two.
pub(crate) fn inverse_scale(state: Option<ScaleBytes>, shared: bool) -> f32 {
    state.map_or(1.0, |state| 1.0 / if shared { state.used } else { state.scale })
}

fn back_off(options: &LossScale, state: &mut ScaleBytes, scale: f32) {
    state.scale = (scale * options.backoff_factor as f32).max(LEAST);
    state.growth_tracker = 0;
}

/// Adapts the scale for the next step.
pub(crate) fn adapt_scale(options: &LossScale, state: &mut ScaleBytes, shared: bool, skipped: bool) {
    if shared {
        if skipped {
            back_off(options, state, state.used);
        }
        return;
    }
    state.used = state.scale;
    if skipped {
        back_off(options, state, state.scale);
        return;
    }
    state.growth_tracker = state.growth_tracker.wrapping_add(1);
    if state.growth_tracker >= options.growth_interval {
        let grown = state.scale * options.growth_factor as f32;
        state.scale = if grown <= MOST { grown } else { state.scale };
        state.growth_tracker = 0;
    }
}
