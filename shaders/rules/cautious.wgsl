// Cautious AdamW: Adam without the elements whose m and gradient have different signs. Liang et al. 2024, Algorithm 2. The
// factor of the others is in m_coef: see shaders/rescale/.

fn agrees(m: Quad, g: Quad) -> Mask {
    return ((m > Quad(0.0)) & (g > Quad(0.0))) | ((m < Quad(0.0)) & (g < Quad(0.0)));
}

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_m(place, m);
    store_v(place, v);
    let step = (s.m_coef * m) / divisor(s, v + s.eps_root);
    return select(Quad(0.0), step, agrees(m, g));
}
