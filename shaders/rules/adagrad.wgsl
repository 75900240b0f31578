// AdaGrad: Duchi, Hazan & Singer 2011.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    let v = old.v + g * g;
    return State(old.param, v);
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return sqrt(now.v + s.eps_root) + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return (s.m_coef * g) / divisor;
}
