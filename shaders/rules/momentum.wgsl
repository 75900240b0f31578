// SGD with momentum, Nesterov's or plain.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), s.m_gain * g, s.m_rate, s.m_from_target);
    store_m(place, m);
    return s.m_coef * m + s.g_coef * g;
}
