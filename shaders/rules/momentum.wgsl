// SGD with momentum, Nesterov's or not.

fn remember(s: Scalars, old: State, g: Word) -> State {
    return State(old.param, average(old.m, s.take * g, s.m_rate, s.m_from_target));
}

fn divisor_of(s: Scalars, now: State) -> Word {
    return Word(1.0);
}

fn step_of(s: Scalars, old: State, now: State, g: Word, divisor: Word) -> Word {
    return s.m_coef * now.m + s.g_coef * g;
}
