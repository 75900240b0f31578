// SGD with momentum, Nesterov's or not.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = average(old.m, s.take * g, s.m_rate, s.m_from_target);
    let step = s.m_coef * m + s.g_coef * g;
    return State(moved(s, old.param, step), m);
}
