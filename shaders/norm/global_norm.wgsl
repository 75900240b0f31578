// The norm of gradients, from the three sums of squares of a partial. Twin: src/cpu/global_norm.rs.

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// The norm of two parts, from the norm of each. A sum of squares would need the squares of the scales, and 2^-160 is
// not an f32.
fn together(a: f32, b: f32) -> f32 {
    let longer = max(a, b);
    if longer == 0.0 {
        return 0.0;
    }
    let ratio = min(a, b) / longer;
    return longer * sqrt(1.0 + ratio * ratio);
}

// The norm of the unscaled gradients. The parts are unscaled first, since the norm of the scaled gradients might
// overflow.
fn global_norm(total: Partial, unscale: f32) -> f32 {
    let small = sqrt(total.small) * unscale * DOWN;
    let middle = sqrt(total.middle) * unscale;
    let big = sqrt(total.big) * unscale * UP;
    return together(together(small, middle), big);
}
