// RMSProp with momentum.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let u = g / (sqrt(v + s.eps_root) * s.v_coef + s.eps);
    let m = average(old.m, s.take * u, s.m_rate, s.m_from_target);
    let step = s.m_coef * m + s.g_coef * u;
    return State(moved(s, old.param, step), m, v);
}
