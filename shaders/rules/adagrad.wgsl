// AdaGrad: Duchi, Hazan & Singer 2011.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let v = old.v + g * g;
    let step = (s.m_coef * g) / (sqrt(v + s.eps_root) + s.eps);
    return State(moved(s, old.param, step), v);
}
