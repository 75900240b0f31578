// RMSProp without momentum.

fn remember(s: Scalars, old: State, g: Word) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    return State(old.param, v);
}

fn divisor_of(s: Scalars, now: State) -> Word {
    return sqrt(now.v + s.eps_root) * s.v_coef + s.eps;
}

fn step_of(s: Scalars, old: State, now: State, g: Word, divisor: Word) -> Word {
    return (s.m_coef * g) / divisor;
}
