// AMSGrad: the largest second moment so far. Reddi, Kale & Kumar 2018, Algorithm 2.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let v_max = larger(old.v_max, v * s.max_coef);
    let step = (s.m_coef * m) / (sqrt(v_max + s.eps_root) * s.v_coef + s.eps);
    return State(moved(s, old.param, step), m, v, v_max);
}
