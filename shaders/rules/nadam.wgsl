// NAdam: Nesterov's momentum. Dozat 2016.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m + s.g_coef * g) / (sqrt(v + s.eps_root) * s.v_coef + s.eps);
    return State(moved(s, old.param, step), m, v);
}
