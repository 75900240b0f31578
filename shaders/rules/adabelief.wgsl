// AdaBelief: the variance around m in place of the second moment. Zhuang et al. 2020, Algorithm 2.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let surprise = squarable(g - m);
    let v = average(load_v(place), surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    store_m(place, m);
    store_v(place, v);
    return (s.m_coef * m) / divisor(s, v);
}
