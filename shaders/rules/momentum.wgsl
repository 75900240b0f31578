// SGD with momentum, Nesterov's or not.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = s.keep * old.m + s.take * g;
    let step = s.m_coef * m + s.g_coef * g;
    return State(moved(s, old.param, step), m);
}
