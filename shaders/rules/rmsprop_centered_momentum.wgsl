// RMSProp with momentum, divided by the root of the variance of the gradient: see rmsprop_centered.wgsl.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let before = load_grad_avg(place);
    let grad_avg = average(before, g, s.v_rate, s.v_from_target);
    let v = average(load_v(place), squarable(g - before) * squarable(g - grad_avg), s.v_rate, s.v_from_target);
    store_grad_avg(place, grad_avg);
    store_v(place, v);
    let u = g / divisor(s, v + s.eps_root);
    let m = average(load_m(place), s.m_gain * u, s.m_rate, s.m_from_target);
    store_m(place, m);
    return s.m_coef * m + s.g_coef * u;
}
