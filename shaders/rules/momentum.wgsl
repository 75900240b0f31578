// SGD with momentum, Nesterov's or not.

fn remember(s: Scalars, old: State, g: Quad) -> State {
    return State(old.param, average(old.m, s.m_gain * g, s.m_rate, s.m_from_target));
}

fn divisor_of(s: Scalars, now: State) -> Quad {
    return Quad(1.0);
}

fn step_of(s: Scalars, old: State, now: State, g: Quad, divisor: Quad) -> Quad {
    return s.m_coef * now.m + s.g_coef * g;
}
