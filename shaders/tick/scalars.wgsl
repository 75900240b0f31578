// What `tick` makes of a configuration for one step, and `update` applies. `Scalars` in clock.rs.

struct Scalars {
    do_step: u32,       // 1 to apply the step, 0 to skip it
    scale: f32,         // times the gradient: the sign, the clip coefficient, and `unscale`
    l2: f32,            // coupled weight decay
    m_rate: f32,        // see `average` in step.wgsl
    v_rate: f32,
    m_from_target: u32,
    v_from_target: u32,
    m_coef: f32,        // for Adam lr / (1 - beta1^t)
    g_coef: f32,
    v_coef: f32,        // for Adam 1 / sqrt(1 - beta2^t)
    max_coef: f32,
    eps: f32,
    eps_root: f32,
    adamax_beta2: f32,          // AdaMax's beta2
    m_gain: f32,
    decay: f32,         // lr * decoupled weight decay
    limit: f32,         // clip by value
    t: u32,             // steps applied, with this one
    lr: f32,            // of this one
    snr: f32,           // times |m| / sqrt(v): the bias corrections
    unscale: f32,       // takes the loss scale back from the gradient
}

// One group's, at an offset that a uniform binding may have.
struct Slot {
    scalars: Scalars,
    // Up to 256 bytes, and not by `@size`: wgpu's GL backend does not know it.
    pad: array<u32, 43>,
}
