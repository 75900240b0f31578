// AdaBelief: the variance around m. Zhuang et al. 2020, Algorithm 2.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let surprise = g - m;
    let v = average(old.v, surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    let step = (s.m_coef * m) / (sqrt(v) * s.v_coef + s.eps);
    return State(moved(s, old.param, step), m, v);
}
