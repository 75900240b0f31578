// AMSGrad: the largest second moment so far. Reddi, Kale & Kumar 2018, Algorithm 2.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let v_max = larger(old.v_max, v * s.max_coef);
    return State(old.param, m, v, v_max);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v_max + s.eps_root) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * now.m) / divisor;
}
