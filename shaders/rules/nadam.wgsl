// NAdam: Adam with Nesterov's momentum. Dozat 2016.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_m(place, m);
    store_v(place, v);
    return (s.m_coef * m + s.g_coef * g) / divisor(s, v + s.eps_root);
}
