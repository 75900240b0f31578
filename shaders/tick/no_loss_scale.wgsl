// Where the gradients are as they should be. `loss_scale.wgsl` is for those of a scaled loss.

fn inverse_scale() -> f32 {
    return 1.0;
}

fn adapt_scale(skipped: bool) {}
