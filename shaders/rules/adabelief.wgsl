// AdaBelief: the variance around m. Zhuang et al. 2020, Algorithm 2.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let surprise = g - m;
    let v = average(old.v, surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    return State(old.param, m, v);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * now.m) / divisor;
}
