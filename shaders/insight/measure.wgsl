// Measures one quad. Twin: src/cpu/insight.rs.

fn count(mask: Mask) -> u32 {
    let ones = select(Bits(0u), Bits(1u), mask);
    return ones.x + ones.y + ones.z + ones.w;
}

// Measures the elements of the place. `g` is the gradient that the rule gets, and `rate` multiplies the step.
fn measured(s: Scalars, place: Place, grad: Quad, param: Quad, g: Quad, rate: Quad) -> Measured {
    let finite = magnitude(grad) < Bits(0x7f800000u);
    var measured = NOTHING;
    measured.grad = squares(select(Quad(0.0), grad, place.mask & finite));
    measured.param = squares(select(Quad(0.0), param, place.mask));
    measured.elements = count(place.mask);
    measured.zero = count(place.mask & (magnitude(grad) == Bits(0u)));
    measured.nonfinite = count(place.mask & !finite);
    if s.do_step != 0u {
        begin_state(place);
        let step = select(Quad(0.0), rule(s, place, g), place.mask);
        let taken = rate * step;
        measured.step = squares(taken);
        measured.update = squares(select(Quad(0.0), rate * (decay_of(s, param, step) + step), place.mask));
        // All NaNs count as the same NaN.
        measured.largest_step = min(largest(magnitude(taken)), 0x7fc00000u);
        measured.snr = measure_snr(s, kept, place.mask);
    }
    return measured;
}
