//! The norm of gradients, from the three sums of squares of a partial. Twin of `global_norm.wgsl`.

use crate::tick::partial::{DOWN, Partial, UP};

/// The norm of two parts, from the norm of each. A sum of squares would need the squares of the scales, and 2^-160 is
/// not an f32.
pub(crate) fn together(a: f32, b: f32) -> f32 {
    let longer = a.max(b);
    if longer == 0.0 {
        return 0.0;
    }
    let ratio = a.min(b) / longer;
    longer * (1.0 + ratio * ratio).sqrt()
}

/// The norm of the unscaled gradients. The parts are unscaled first, since the norm of the scaled gradients might
/// overflow.
pub(crate) fn global_norm(total: &Partial, unscale: f32) -> f32 {
    let small = total.small.sqrt() * unscale * DOWN;
    let middle = total.middle.sqrt() * unscale;
    let big = total.big.sqrt() * unscale * UP;
    together(together(small, middle), big)
}
