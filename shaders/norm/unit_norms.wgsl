// Units: the tensors whose gradients are clipped by one norm, a group or a single tensor. Unit 0 has all others.

// `UnitNorm` in src/tick/partial.rs.
struct UnitNorm {
    small: f32,         // sums of squares, as in `Partial`
    middle: f32,
    big: f32,
    max_norm: f32,      // infinite if the gradients of the unit are not clipped by its norm
}
