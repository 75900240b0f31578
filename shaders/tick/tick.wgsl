// The tick: one workgroup finishes the norm, decides on the step, advances the clocks, and makes the scalars of each
// clock. Everything that depends on t is computed here. Twin: src/cpu/tick.rs, src/tick/powers.rs and
// src/tick/scalars.rs.

// The options, which do not change from step to step. `Control` in src/tick/control.rs.
struct Control {
    clocks: u32,
    partials: u32,
    guard: u32,         // 1 to skip a step with a non-finite gradient
    clip: u32,          // 1 to clip by global norm
    max_norm: f32,
    limit: f32,         // the limit of clipping by value; infinite without it
    nan: u32,           // the bits of a NaN, which WGSL has no way to write
    growth_factor: f32, // of the loss scale: see loss_scale.wgsl
    backoff_factor: f32,
    growth_interval: u32,
    max_skipped_in_a_row: u32,
    accumulate: u32,    // the number of gradients that are accumulated for a step
    share: f32,         // 1 / accumulate
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

// The configuration of a clock's group. `Settings` in src/tick/settings.rs. Betas count units of 2^-64, with the lower
// 32 bits first.
struct Settings {
    beta1: vec2<u32>,
    beta2: vec2<u32>,
    gamma: vec2<u32>,
    lr: f32,
    eps: f32,
    eps_root: f32,
    min_root: f32,
    param_min: f32,
    param_max: f32,
    l2: f32,
    weight_decay: f32,
    decay_by_rate: u32, // 1 to multiply the decay by the learning rate once more: it is then divided by `lr`
    cautious: u32,
    sign: f32,
    m_rate: f32,
    v_rate: f32,
    m_from_target: u32,
    v_from_target: u32,
    time_law: u32,
    corrected: u32,
    adamax_beta2: f32,
    momentum: f32,
    m_gain: f32,
    m_gain_first: f32,
    nesterov: u32,
    eps_in_v: u32,
    lr_in_momentum: u32,
    lr_decay: f32,
    rho_h: f32,
    rho_inf: f32,
    alpha: f32,         // of AdEMAMix: see src/tick/settings.rs
    warmup: f32,
    first_life: f32,
    last_life: f32,
    slow_rate: f32,
    is_active: u32,     // 0 if the clock's tensors take no part in the steps
    unit: u32,          // its unit in unit_clip.wgsl
    first_curve: u32,   // of the schedule: see schedule.wgsl
    curves: u32,
    schedule_unit: f32,
    inverse_peak: f32,  // 1 over the schedule's largest factor
}

// Time laws: how the scalars depend on t. The numbers are the same in src/tick/settings.rs.
const AMSGRAD_OF_CORRECTED: u32 = 2u;
const NADAM: u32 = 3u;
const NADAM_PLAIN: u32 = 4u;
const RADAM: u32 = 5u;
const RADAM_EPS_ON_RAW: u32 = 6u;
const CONSTANT: u32 = 7u;
const RMSPROP: u32 = 8u;
const ADAGRAD: u32 = 9u;
const SGD: u32 = 10u;
const ADOPT: u32 = 11u;
const ADEMAMIX: u32 = 12u;
const SCHEDULE_FREE: u32 = 13u;

// The powers of a clock after t steps, in units of 2^-64. `Powers` in src/tick/powers.rs.
struct Powers {
    beta1_t: vec2<u32>,  // beta1^t
    beta2_t: vec2<u32>,  // beta2^t
    gamma_t: vec2<u32>, // gamma^t; for Schedule-Free the sum of the weights over the last one, in units of 2^-32
    product: vec2<u32>, // mu(1)*..*mu(t); for Schedule-Free the bits of the largest learning rate so far
}

// A clock. `Clock` in src/tick/clock.rs.
struct Clock {
    powers: Powers,
    t: u32,             // steps applied
    lr: f32,            // the learning rate of the last step
    position: u32,      // steps of the group, which its schedule counts: t, except for tensors that were added later
    to_average: f32,    // what multiplied z - y when the params became those for evaluation, or 0
}

// All clocks. The head is `ClockHead` in src/tick/clock.rs.
struct Clocks {
    applied: u32,
    skipped: u32,
    last_skipped: u32,  // 1 if the last step was skipped
    nonfinite_partial: u32,   // the first partial of the last skipped step with a non-finite element, or NONE
    nonfinite_element: u32,   // that element of its region
    grad_norm: f32,     // the norm of the last step's unscaled gradients
    clip_coef: f32,
    skipped_in_a_row: u32,    // steps skipped since the last applied one
    evaluating: u32,          // 1 if the params are those for evaluation: see change_mode.wgsl
    accumulated: u32,         // gradients that were accumulated since the last step
    clocks: array<Clock>,
}

@group(0) @binding(control_binding) var<uniform> control: Control;
@group(0) @binding(settings_binding) var<storage, read> settings: array<Settings>;
@group(0) @binding(partials_binding) var<storage, read> partials: array<Partial>;
@group(0) @binding(clock_binding) var<storage, read_write> clock: Clocks;
@group(0) @binding(scalars_binding) var<storage, read_write> scalar_slots: array<ScalarSlot>;

// 0 to apply the step, 1 to skip it, or WAIT to wait for more gradients.
var<workgroup> skip: u32;
var<workgroup> clip_coef: f32;
var<workgroup> unscale: f32;

const WAIT: u32 = 2u;

// NAdam's momentum, beta1*(1 - gamma^t/2).
fn momentum(beta1: vec2<u32>, gamma_power: vec2<u32>) -> vec2<u32> {
    let half = vec2<u32>((gamma_power.x >> 1u) | (gamma_power.y << 31u), gamma_power.y >> 1u);
    if (half.x | half.y) == 0u {
        return beta1;
    }
    return product(beta1, negated(half));
}

fn advance(now: Powers, s: Settings, t: u32, lr: f32) -> Powers {
    let first = t == 0u;
    var next = now;
    next.beta1_t = select(product(now.beta1_t, s.beta1), s.beta1, first);
    next.beta2_t = select(product(now.beta2_t, s.beta2), s.beta2, first);
    if HAS_NADAM && (s.time_law == NADAM || s.time_law == NADAM_PLAIN) {
        next.gamma_t = select(product(now.gamma_t, s.gamma), s.gamma, first);
        let mu = momentum(s.beta1, next.gamma_t);
        next.product = select(product(now.product, mu), mu, first);
    }
    return weighed(s, next, lr);
}

// RAdam's rho_inf - 2*t*beta2^t/(1 - beta2^t). Its series is used if that would cancel: see `rho` in
// src/tick/scalars.rs.
fn rho_series(x: f32, h: f32, y2: f32) -> f32 {
    return x * x * h * (1.0 / 6.0 - y2 * (1.0 / 360.0 - y2 * (1.0 / 15120.0 - y2 * (1.0 / 604800.0))));
}

fn rho(s: Settings, powers: Powers, steps: u32) -> f32 {
    let t = f32(steps);
    let h = s.rho_h;
    let y = t * h;
    if y < 1.0 {
        return t - (rho_series(t, h, y * y) - rho_series(1.0, h, h * h));
    }
    return s.rho_inf - 2.0 * t * fraction(powers.beta2_t) / complement(powers.beta2_t);
}

// 1 - exp(-1/life), without cancellation: see src/tick/scalars.rs.
fn rate_of_life(life: f32) -> f32 {
    let x = min(1.0 / life, 16.0) / 32.0;
    let xx = x * x;
    var rate = x / (1.0 + 0.5 * x + xx * (1.0 / 12.0 - xx * (1.0 / 720.0 - xx * (1.0 / 30240.0))));
    for (var i = 0u; i < 5u; i++) {
        rate *= 2.0 - rate;
    }
    return rate;
}

// Flushes numbers below 2^-126 to zero. Some drivers do so and others do not; here the result is the same on all.
fn normal_or_zero(x: f32) -> f32 {
    return select(0.0, x, (bitcast<u32>(x) & 0x7f800000u) != 0u);
}

fn scalars(s: Settings, powers: Powers, t: u32, lr: f32) -> Scalars {
    let corrected = s.corrected != 0u;
    var correction1 = 1.0;
    var correction2 = 1.0;
    if corrected {
        correction1 = complement(powers.beta1_t);
        correction2 = complement(powers.beta2_t);
    }
    var now: Scalars;
    now.do_step = 1u;
    now.grad_mul = normal_or_zero(s.sign * clip_coef * unit_coef(s) * unscale);
    now.l2 = s.l2;
    now.m_rate = s.m_rate;
    now.v_rate = s.v_rate;
    now.m_from_target = s.m_from_target;
    now.v_from_target = s.v_from_target;
    now.m_coef = lr / correction1;
    now.g_coef = 0.0;
    now.v_coef = 1.0 / sqrt(correction2);
    now.min_root = s.min_root;
    now.bound = 0.0;
    now.slow_rate = 0.0;
    now.newest_weight = 0.0;
    now.inner_decay = 0.0;
    now.max_coef = 1.0;
    now.eps = s.eps;
    // The root is of v, not of v_hat, so eps_root must shrink as v does.
    now.eps_root = s.eps_root * correction2;
    now.adamax_beta2 = s.adamax_beta2;
    now.m_gain = s.m_gain;
    now.decay = lr * s.weight_decay;
    if s.decay_by_rate != 0u {
        now.decay = lr * s.weight_decay * (lr * s.inverse_peak);
    }
    now.limit = control.limit;
    now.param_min = s.param_min;
    now.param_max = s.param_max;
    now.cautious = s.cautious;
    now.t = t;
    now.lr = lr;
    now.snr = sqrt(correction2) / correction1;
    now.unscale = unscale;
    now.keep_grad = 0u;
    // The host leaves out the cases of rules that are not in use: they would take longer to compile than all the rest.
    switch s.time_law {
        case AMSGRAD_OF_CORRECTED: {
            now.max_coef = 1.0 / correction2;
            now.v_coef = 1.0;
            now.eps_root = s.eps_root;
        }
        case NADAM: {
            let mu = momentum(s.beta1, powers.gamma_t);
            let next = momentum(s.beta1, product(powers.gamma_t, s.gamma));
            var correction = 1.0;
            var correction_next = 1.0;
            if corrected {
                correction = complement(powers.product);
                correction_next = complement(product(powers.product, next));
            }
            now.m_coef = lr * fraction(next) / correction_next;
            now.g_coef = lr * complement(mu) / correction;
        }
        case NADAM_PLAIN: {
            var correction_next = 1.0;
            if corrected {
                correction_next = complement(product(powers.beta1_t, s.beta1));
            }
            now.m_coef = lr * fraction(s.beta1) / correction_next;
            now.g_coef = lr * complement(s.beta1) / correction1;
        }
        case RADAM, RADAM_EPS_ON_RAW: {
            let rho = rho(s, powers, t);
            if rho > 5.0 {
                // All quotients are near 1, so that no rounding error is the same in every step. Such errors would add
                // up.
                let end = s.rho_inf;
                var squared = (rho - 4.0) / (end - 4.0) * ((rho - 2.0) / (end - 2.0)) * (end / rho);
                if s.time_law == RADAM_EPS_ON_RAW {
                    squared *= correction2;
                    now.v_coef = 1.0;
                }
                now.m_coef *= sqrt(squared);
            } else {
                // The step is m_hat: the divisor is 1.
                now.v_coef = 0.0;
                now.eps = 1.0;
            }
        }
        case ADEMAMIX: {
            let done = select(1.0, min(f32(t) / s.warmup, 1.0), s.warmup > 0.0);
            let life = (1.0 - done) * s.first_life + done * s.last_life;
            now.slow_rate = s.slow_rate;
            if done < 1.0 && life < s.last_life {
                now.slow_rate = rate_of_life(life);
            }
            now.g_coef = lr * (done * s.alpha);
        }
        case SCHEDULE_FREE: {
            let weight = newest_weight(powers);
            let beta1 = fraction(s.beta1);
            now.newest_weight = weight;
            now.m_coef = lr * (complement(s.beta1) + beta1 * weight);
            now.m_gain = lr * beta1;
            now.inner_decay = s.weight_decay;
            if s.decay_by_rate != 0u {
                now.inner_decay = s.weight_decay * (lr * s.inverse_peak);
            }
            now.decay = 0.0;
        }
        case ADOPT: {
            now.m_coef = lr;
            now.bound = sqrt(sqrt(f32(t - 1u)));
            if t == 1u {
                now.v_rate = 0.0;
                now.v_from_target = 1u;
            }
        }
        case CONSTANT: {
            now.m_coef = lr;
        }
        case RMSPROP: {
            let inside = s.lr_in_momentum != 0u;
            let outside = select(lr, 1.0, inside);
            now.m_gain = select(s.m_gain, lr * s.m_gain, inside);
            now.m_coef = outside;
            if s.nesterov != 0u {
                now.m_coef = outside * s.momentum;
                now.g_coef = lr;
            }
        }
        case ADAGRAD: {
            now.m_coef = lr / (1.0 + f32(t - 1u) * s.lr_decay);
            now.v_coef = 1.0;
            now.eps_root = s.eps_root;
        }
        case SGD: {
            now.m_gain = select(s.m_gain, s.m_gain_first, t == 1u);
            now.m_coef = lr;
            if s.nesterov != 0u {
                now.m_coef = lr * s.momentum;
                now.g_coef = lr;
            }
        }
        default: {}
    }
    if s.eps_in_v != 0u {
        now.eps_root = s.eps_root;
    }
    return now;
}

// Adds up the partials: each invocation its own in ascending order, then the tree all of them.
fn finish_partials(index: u32) -> Partial {
    var mine = Partial(0.0, 0.0, 0.0, NONE);
    for (var i = index; i < control.partials; i += WORKGROUP) {
        let partial = partials[i];
        mine.small += partial.small;
        mine.middle += partial.middle;
        mine.big += partial.big;
        if partial.first_nonfinite != NONE {
            mine.first_nonfinite = min(mine.first_nonfinite, i);
        }
    }
    return reduce(index, mine);
}

// Counts an accumulated gradient. Returns whether the step waits for more.
fn waits() -> bool {
    let more = clock.accumulated < control.accumulate - 1u;
    clock.accumulated = select(0u, clock.accumulated + 1u, more);
    return more;
}

// Decides for all clocks: sets the norm and the clip coefficient, and whether to skip the step. `own` is of the gradients of
// this optimizer.
fn decide(own: Partial) {
    skip = 0u;
    clip_coef = 1.0;
    unscale = inverse_scale() * control.share;
    if waits() {
        skip = WAIT;
        return;
    }
    if skip_evaluation() {
        return;
    }
    let total = shared_sums(own);
    if HAS_NORM && control.partials > 0u {
        // The sum of big gradients does not overflow if all gradients are finite.
        let finite = is_finite(total.big);
        clock.grad_norm = select(total.big, global_norm(total, unscale), finite);
        if control.clip != 0u {
            // Without the guard, a non-finite gradient makes every parameter NaN, so that it is noticed.
            let norm = clipped_norm(clock.grad_norm);
            let coef = normal_or_zero(min(1.0, control.max_norm / (norm + 1e-6)));
            clip_coef = select(bitcast<f32>(control.nan), coef, finite);
        }
        // The norm may overflow although all gradients are finite. The report then names no tensor.
        let nonfinite = total.first_nonfinite != NONE || !is_finite(clock.grad_norm);
        if control.guard != 0u && nonfinite && clock.skipped_in_a_row < control.max_skipped_in_a_row {
            skip = 1u;
            clock.nonfinite_partial = own.first_nonfinite;
            if own.first_nonfinite != NONE {
                clock.nonfinite_element = partials[own.first_nonfinite].first_nonfinite;
            }
        }
    }
    clock.clip_coef = clip_coef;
    clock.last_skipped = skip;
    clock.skipped_in_a_row = select(0u, min(clock.skipped_in_a_row, 0xfffffffdu) + 1u, skip != 0u);
    // Both counts stop at the largest u32.
    clock.skipped += select(0u, skip, clock.skipped != 0xffffffffu);
    clock.applied += select(0u, 1u, skip == 0u && clock.applied != 0xffffffffu);
    adapt_scale(skip != 0u);
}

fn tick_clock(i: u32) {
    let s = settings[i];
    let before = clock.clocks[i];
    if skip == 0u {
        let position = before.position + select(1u, 0u, before.position == 0xffffffffu);
        let lr = s.lr * factor(s, position);
        if s.is_active != 0u {
            let powers = advance(before.powers, s, before.t, lr);
            let t = before.t + select(1u, 0u, before.t == 0xffffffffu);
            clock.clocks[i] = Clock(powers, t, lr, position, 0.0);
            scalar_slots[i].scalars = scalars(s, powers, t, lr);
            return;
        }
        clock.clocks[i].lr = lr;
        clock.clocks[i].position = position;
    }
    scalar_slots[i].scalars.do_step = 0u;
    scalar_slots[i].scalars.t = before.t;
    scalar_slots[i].scalars.unscale = unscale;
    scalar_slots[i].scalars.keep_grad = select(0u, 1u, skip == WAIT);
}

@compute @workgroup_size(WORKGROUP)
fn tick(@builtin(local_invocation_index) index: u32) {
    var own = Partial(0.0, 0.0, 0.0, NONE);
    if HAS_NORM {
        own = finish_partials(index);
    }
    if index == 0u {
        decide(own);
    }
    workgroupBarrier();
    for (var i = index; i < control.clocks; i += WORKGROUP) {
        tick_clock(i);
    }
}
