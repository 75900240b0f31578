// LaProp: the normalized gradient is averaged, with Adam's bias corrections. Ziyin, Wang & Ueda 2020, Algorithm 1.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    let m = average(load_m(place), g / divisor(s, v + s.eps_root), s.m_rate, s.m_from_target);
    store_m(place, m);
    store_v(place, v);
    return s.m_coef * m;
}
