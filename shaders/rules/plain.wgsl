// SGD without momentum.

fn remember(s: Scalars, old: State, g: Word) -> State {
    return old;
}

fn divisor_of(s: Scalars, now: State) -> Word {
    return Word(1.0);
}

fn step_of(s: Scalars, old: State, now: State, g: Word, divisor: Word) -> Word {
    return s.m_coef * g;
}
