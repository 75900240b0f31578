// RMSProp with momentum.

// What is averaged is the quotient, so it is here and in the step; compilers see that it is the same.
fn remember(s: Scalars, old: State, g: Quad) -> State {
    var now = old;
    now.v = average(old.v, g * g, s.v_rate, s.v_from_target);
    now.m = average(old.m, s.m_gain * (g / divisor_of(s, now)), s.m_rate, s.m_from_target);
    return now;
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v + s.eps_root) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return s.m_coef * now.m + s.g_coef * (g / divisor);
}
