// AdaMax: the infinity norm in place of the second moment. Kingma & Ba 2015, Algorithm 2.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = larger(s.adamax_beta2 * load_v(place), abs(g) + s.eps);
    store_m(place, m);
    store_v(place, v);
    return (s.m_coef * m) / v;
}
