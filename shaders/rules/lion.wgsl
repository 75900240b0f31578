// Lion: the sign of an average, and another average to keep. Chen et al. 2023, Algorithm 2.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let step = s.m_coef * sign(average(old.m, g, s.m_rate, s.m_from_target));
    let m = average(old.m, g, s.v_rate, s.v_from_target);
    return State(moved(s, old.param, step), m);
}
