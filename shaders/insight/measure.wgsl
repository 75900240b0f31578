// Measures one quad. Twin: src/cpu/insight.rs.

fn count(mask: Mask) -> u32 {
    let ones = select(Bits(0u), Bits(1u), mask);
    return ones.x + ones.y + ones.z + ones.w;
}

fn squares(x: Quad) -> Squares {
    let bits = magnitude(x);
    let top = largest(bits) >> 23u;
    if top == 0u || top == 255u {
        return Squares(0.0, top);
    }
    // The largest element is scaled to 2..4.
    let y = select(Quad(0.0), x * bitcast<f32>((255u - top) << 23u), bits >= Bits(0x00800000u));
    var sum = y.x * y.x;
    sum += y.y * y.y;
    sum += y.z * y.z;
    sum += y.w * y.w;
    return Squares(sum, top);
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
