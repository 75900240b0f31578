// Lion: the sign of an average, and another average to keep. Chen et al. 2023, Algorithm 2.

// 1 or -1; what is zero or no number stays what it is. WGSL's own `sign` may make a number of a NaN, and hide it.
fn sign_of(x: Quad) -> Quad {
    let bits = bitcast<Bits>(x);
    let ordinary = (bits & Bits(0x7fffffffu)) - Bits(1u) < Bits(0x7f800000u);
    return select(x, bitcast<Quad>((bits & Bits(0x80000000u)) | Bits(0x3f800000u)), ordinary);
}

fn remember(s: Scalars, old: State, g: Quad) -> State {
    return State(old.param, average(old.m, g, s.v_rate, s.v_from_target));
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return Quad(1.0);
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return s.m_coef * sign_of(average(old.m, g, s.m_rate, s.m_from_target));
}
