// AdaMax: the infinity norm. Kingma & Ba 2015, Algorithm 2.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = larger(s.adamax_beta2 * old.v, abs(g) + s.eps);
    return State(old.param, m, v);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return now.v;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * now.m) / divisor;
}
