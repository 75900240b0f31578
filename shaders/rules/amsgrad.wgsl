// AMSGrad: Adam with the largest second moment so far. Reddi, Kale & Kumar 2018, Algorithm 2.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    let v_max = larger(load_v_max(place), v * s.max_coef);
    store_m(place, m);
    store_v(place, v);
    store_v_max(place, v_max);
    return (s.m_coef * m) / divisor(s, v_max + s.eps_root);
}
