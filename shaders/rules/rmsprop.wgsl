// RMSProp without momentum.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_v(place, v);
    return (s.m_coef * g) / divisor(s, v + s.eps_root);
}
