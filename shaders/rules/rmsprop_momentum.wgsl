// RMSProp with momentum: the normalized gradient is averaged.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_v(place, v);
    let u = g / divisor(s, v + s.eps_root);
    let m = average(load_m(place), s.m_gain * u, s.m_rate, s.m_from_target);
    store_m(place, m);
    return s.m_coef * m + s.g_coef * u;
}
