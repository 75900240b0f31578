// SGD without momentum.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    return old;
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return Quad(1.0);
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return s.m_coef * g;
}
