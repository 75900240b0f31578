// Adam: Kingma & Ba 2015, Algorithm 1. The learning rate and the bias corrections are in m_coef and v_coef. RAdam differs
// only in its scalars.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_m(place, m);
    store_v(place, v);
    return (s.m_coef * m) / divisor(s, v + s.eps_root);
}
