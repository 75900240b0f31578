// AdaGrad: Duchi, Hazan & Singer 2011.

fn remember(s: Scalars, old: State, g: Word) -> State {
    let v = old.v + g * g;
    return State(old.param, v);
}

fn divisor_of(s: Scalars, now: State) -> Word {
    return sqrt(now.v + s.eps_root) + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Word, divisor: Word) -> Word {
    return (s.m_coef * g) / divisor;
}
