// RMSProp without momentum, divided by the root of the variance of the gradient. Graves 2013. The variance is not a
// difference of two averages, which would cancel. It averages the product of the distances from the old and from the
// new average, which have the same sign (Welford 1962).

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let before = load_grad_avg(place);
    let grad_avg = average(before, g, s.v_rate, s.v_from_target);
    let v = average(load_v(place), squarable(g - before) * squarable(g - grad_avg), s.v_rate, s.v_from_target);
    store_grad_avg(place, grad_avg);
    store_v(place, v);
    return (s.m_coef * g) / divisor(s, v + s.eps_root);
}
