// RMSProp without momentum.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    return State(old.param, v);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v + s.eps_root) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * g) / divisor;
}
