// ADOPT: the gradient is normalized by the second moment of earlier steps, clamped and averaged. Taniguchi et al. 2024,
// Algorithm 2. In the first step the bound is 0, and v becomes the square.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let old = load_v(place);
    let root = sqrt(old);
    let n = g / select(root, Quad(s.eps), root < Quad(s.eps));
    let m = average(load_m(place), clipped(n, s.bound), s.m_rate, s.m_from_target);
    store_m(place, m);
    store_v(place, average(old, squared(g), s.v_rate, s.v_from_target));
    return s.m_coef * m;
}
