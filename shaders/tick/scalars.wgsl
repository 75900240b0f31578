// The scalars of one step: `tick` makes them of a configuration, and `update` applies them. `Scalars` in
// src/tick/scalars.rs.

struct Scalars {
    do_step: u32,       // 1 to apply the step, 0 to skip it
    grad_mul: f32,      // times the gradient: the sign, the clip coefficient and `unscale`
    l2: f32,            // coupled weight decay
    m_rate: f32,        // see `average` in gradient.wgsl
    v_rate: f32,
    m_from_target: u32,
    v_from_target: u32,
    m_coef: f32,        // times m: for Adam lr / (1 - beta1^t)
    g_coef: f32,        // times the gradient, beside m
    v_coef: f32,        // times sqrt(v): for Adam 1 / sqrt(1 - beta2^t)
    max_coef: f32,      // times v, for the maximum of AMSGrad
    eps: f32,
    eps_root: f32,
    adamax_beta2: f32,
    m_gain: f32,        // times the value that m averages
    decay: f32,         // lr * decoupled weight decay
    limit: f32,         // clip by value; infinite without
    t: u32,             // steps applied, this one included
    lr: f32,            // the learning rate of this step
    snr: f32,           // times |m| / sqrt(v): the bias corrections
    unscale: f32,       // 1 / loss scale
}

// The scalars of one clock, at an offset that a uniform binding may have. (`@size` would do, but wgpu's GL backend does not
// know it.)
struct ScalarSlot {
    scalars: Scalars,
    pad: array<u32, SCALAR_PADDING>,
}
