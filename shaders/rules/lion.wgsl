// Lion: the step is the sign of one average, and the state is another average. Chen et al. 2023, Algorithm 2.

// Returns 1 or -1. Zeros and NaNs are returned unchanged: the built-in `sign` may hide a NaN.
fn sign_of(x: Quad) -> Quad {
    let bits = bitcast<Bits>(x);
    let ordinary = (bits & Bits(0x7fffffffu)) - Bits(1u) < Bits(0x7f800000u);
    return select(x, bitcast<Quad>((bits & Bits(0x80000000u)) | Bits(0x3f800000u)), ordinary);
}

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let old = load_m(place);
    let m = average(old, g, s.v_rate, s.v_from_target);
    store_m(place, m);
    return s.m_coef * sign_of(average(old, g, s.m_rate, s.m_from_target));
}
