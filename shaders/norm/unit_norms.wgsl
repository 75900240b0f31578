// Units: the tensors whose gradients are clipped by one norm, a group or a single tensor. Unit 0 has all others. If the norm
// is shared with other optimizers, one more unit, the last, has all tensors.

// `UnitNorm` in src/tick/partial.rs.
struct UnitNorm {
    small: f32,         // sums of squares, as in `Partial`
    middle: f32,
    big: f32,
    max_norm: f32,      // infinite if the gradients of the unit are not clipped by its norm
    first_nonfinite: u32,   // NONE if no gradient counts as non-finite
}
