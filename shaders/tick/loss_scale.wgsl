// The dynamic loss scale: it grows after a number of steps without a bad gradient and backs off after each with one. Twin:
// src/cpu/loss_scale.rs. `no_loss_scale.wgsl` is for optimizers without.

// The caller binds it too. `ScaleBytes` in loss_scale.rs.
struct LossScale {
    scale: f32,
    growth_tracker: u32,    // steps applied since it has changed
    pad: vec2<u32>,
}

@group(0) @binding(loss_scale_binding) var<storage, read_write> loss_scale: LossScale;

// Between these neither a scale nor what takes it back is near 2^-126, below which some devices have zeros.
const LEAST: f32 = 5.421010862427522e-20;       // 2^-64
const MOST: f32 = 18446744073709551616.0;       // 2^64

// What takes the scale back from the gradients. Of a power of two it is exact: a division may be off by 2.5 units in the last
// place.
fn inverse_scale() -> f32 {
    let bits = bitcast<u32>(loss_scale.scale);
    if (bits & 0x007fffffu) == 0u {
        return bitcast<f32>(0x7f000000u - bits);
    }
    return 1.0 / loss_scale.scale;
}

// For the next step.
fn adapt_scale(skipped: bool) {
    if skipped {
        loss_scale.scale = max(loss_scale.scale * control.backoff_factor, LEAST);
        loss_scale.growth_tracker = 0u;
        return;
    }
    loss_scale.growth_tracker += 1u;
    if loss_scale.growth_tracker >= control.growth_interval {
        let grown = loss_scale.scale * control.growth_factor;
        loss_scale.scale = select(loss_scale.scale, grown, grown <= MOST);
        loss_scale.growth_tracker = 0u;
    }
}
