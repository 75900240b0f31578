// SGD without momentum.

fn rule(s: Scalars, old: State, g: Word) -> State {
    return State(moved(s, old.param, s.m_coef * g));
}
