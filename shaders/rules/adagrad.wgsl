// AdaGrad: v is the sum of all squares. Duchi, Hazan & Singer 2011.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let v = within_bf16(load_v(place) + squared(g));
    store_v(place, v);
    return (s.m_coef * g) / divisor(s, v + s.eps_root);
}
