// Schedule-Free AdamW: Defazio et al. 2024, Algorithm 1, in terms of y, which is the parameter, and z - y, which is kept in
// place of m. The first step has the weight 1, so z - y is 0 after it.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let y = read_param(place);
    let z_minus_y = load_m(place);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    let d = g / divisor(s, v + s.eps_root) + s.inner_decay * y;
    store_m(place, average(z_minus_y - s.m_gain * d, Quad(0.0), s.newest_weight, 0u));
    store_v(place, v);
    return s.m_coef * d - s.newest_weight * z_minus_y;
}
