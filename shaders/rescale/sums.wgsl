// The two sums of squares that the factor of a tensor's step is made of. `Sums` in src/report/records.rs.

struct Measured {
    above: Squares,
    below: Squares,
}

const NOTHING: Measured = Measured(NO_SQUARES, NO_SQUARES);

fn add(a: Measured, b: Measured) -> Measured {
    return Measured(add_squares(a.above, b.above), add_squares(a.below, b.below));
}

// The sum of the squares of the elements in the mask.
fn masked(x: Quad, mask: Mask) -> Squares {
    return squares(select(Quad(0.0), x, mask));
}
