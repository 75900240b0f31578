// The dynamic loss scale: it grows after a number of steps without a non-finite gradient, and backs off after each step
// with one. Twin: src/cpu/loss_scale.rs.

// The caller binds this buffer too. `ScaleBytes` in src/config/loss_scale.rs.
struct LossScale {
    scale: f32,
    growth_tracker: u32,    // steps applied since the last change
    used: f32,              // the scale of the gradients of the last step
    pad: u32,
}

@group(0) @binding(loss_scale_binding) var<storage, read_write> loss_scale: LossScale;

// Between these bounds, neither a scale nor its inverse is near 2^-126, below which some devices flush to zero.
const LEAST: f32 = 5.421010862427522e-20;       // 2^-64
const MOST: f32 = 18446744073709551616.0;       // 2^64

// The scale of the gradients of this step. An optimizer that shares the scale of another, SHARED, steps after that one,
// which has already adapted the scale for the next step.
fn current_scale() -> f32 {
    if SHARED {
        return loss_scale.used;
    }
    return loss_scale.scale;
}

// 1 / loss scale, which unscales the gradients. The inverse of a power of two is computed exactly, because a division
// may be off by 2.5 units in the last place.
fn inverse_scale() -> f32 {
    let scale = current_scale();
    let bits = bitcast<u32>(scale);
    if (bits & 0x007fffffu) == 0u {
        return bitcast<f32>(0x7f000000u - bits);
    }
    return 1.0 / scale;
}

fn back_off(scale: f32) {
    loss_scale.scale = max(scale * control.backoff_factor, LEAST);
    loss_scale.growth_tracker = 0u;
}

// Adapts the scale for the next step.
fn adapt_scale(skipped: bool) {
    if SHARED {
        // The scale backs off once a step, however many optimizers skip it, since it starts from the scale of the step.
        if skipped {
            back_off(loss_scale.used);
        }
        return;
    }
    loss_scale.used = loss_scale.scale;
    if skipped {
        back_off(loss_scale.scale);
        return;
    }
    loss_scale.growth_tracker += 1u;
    if loss_scale.growth_tracker >= control.growth_interval {
        let grown = loss_scale.scale * control.growth_factor;
        loss_scale.scale = select(loss_scale.scale, grown, grown <= MOST);
        loss_scale.growth_tracker = 0u;
    }
}
