// AdaMax: the infinity norm. Kingma & Ba 2015, Algorithm 2.

fn rule(s: Scalars, old: State, g: Word) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = larger(s.keep * old.v, abs(g) + s.eps);
    let step = (s.m_coef * m) / v;
    return State(moved(s, old.param, step), m, v);
}
