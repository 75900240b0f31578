// AdEMAMix: Adam with a second, slow average of the gradient. Pagliardini, Ablin & Grangier 2024, Algorithm 1.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let grad_avg = average(load_grad_avg(place), g, s.slow_rate, 0u);
    store_m(place, m);
    store_grad_avg(place, grad_avg);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_v(place, v);
    return (s.m_coef * m + s.g_coef * grad_avg) / divisor(s, v + s.eps_root);
}
