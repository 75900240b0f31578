// SGD without momentum: no state.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    return s.m_coef * g;
}
