// RMSProp without momentum.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * g) / (sqrt(v + s.eps_root) * s.v_coef + s.eps);
    return State(moved(s, old.param, step), v);
}
