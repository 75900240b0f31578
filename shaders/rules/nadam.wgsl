// NAdam: Nesterov's momentum. Dozat 2016.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    return State(old.param, m, v);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v + s.eps_root) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * now.m + s.g_coef * g) / divisor;
}
