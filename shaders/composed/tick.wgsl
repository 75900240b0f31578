// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 256u;
const HAS_NORM: bool = true;
const control_binding: u32 = 8u;
const settings_binding: u32 = 9u;
const partials_binding: u32 = 7u;
const clock_binding: u32 = 10u;
const scalars_binding: u32 = 5u;
const SCALAR_PADDING: u32 = 34u;
const HAS_NADAM: bool = false;

// --- tick/scalars.wgsl ---

// The scalars of one step: `tick` makes them from the settings, and `update` applies them. `Scalars` in
// src/tick/scalars.rs.

struct Scalars {
    do_step: u32,       // 1 to apply the step, 0 to make none
    grad_mul: f32,      // multiplies the gradient: the sign, the clip coefficient and `unscale`
    l2: f32,            // coupled weight decay
    m_rate: f32,        // see `average` in gradient.wgsl
    v_rate: f32,
    m_from_target: u32,
    v_from_target: u32,
    m_coef: f32,        // multiplies m: for Adam lr / (1 - beta1^t)
    g_coef: f32,        // multiplies the gradient, or the slow average of AdEMAMix, which is added to m
    v_coef: f32,        // multiplies sqrt(v): for Adam 1 / sqrt(1 - beta2^t)
    min_root: f32,      // replaces sqrt(v) * v_coef where it is zero
    bound: f32,         // the bound of ADOPT's normalized gradient
    slow_rate: f32,     // the rate of AdEMAMix's slow average
    newest_weight: f32, // the weight of the newest z in the average of Schedule-Free
    inner_decay: f32,   // the decay that is a part of the direction of Schedule-Free
    max_coef: f32,      // multiplies v for the maximum of AMSGrad
    eps: f32,
    eps_root: f32,
    adamax_beta2: f32,
    m_gain: f32,        // multiplies the value that m averages
    decay: f32,         // lr * decoupled weight decay
    limit: f32,         // the limit of clipping by value; infinite without it
    param_min: f32,     // the bounds of the parameters; infinite without them
    param_max: f32,
    cautious: u32,      // 1 to decay only parameters that the step moves towards zero
    t: u32,             // steps applied, including this one
    lr: f32,            // the learning rate of this step
    snr: f32,           // multiplies |m| / sqrt(v): the bias corrections of both
    unscale: f32,       // 1 over the loss scale and the number of accumulated gradients
    keep_grad: u32,     // 1 to leave the gradients as they are: more are accumulated before the step
}

// The scalars of one clock, padded so that each slot is at a valid offset of a uniform binding. wgpu's GL backend does
// not support `@size`.
struct ScalarSlot {
    scalars: Scalars,
    pad: array<u32, SCALAR_PADDING>,
}

fn weighed(s: Settings, now: Powers, lr: f32) -> Powers { return now; }

fn skip_evaluation() -> bool { return false; }

// --- tick/tick.wgsl ---

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

// --- norm/global_norm.wgsl ---

// The norm of gradients, from the three sums of squares of a partial. Twin: src/cpu/global_norm.rs.

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// The norm of two parts, from the norm of each. A sum of squares would need the squares of the scales, and 2^-160 is
// not an f32.
fn together(a: f32, b: f32) -> f32 {
    let longer = max(a, b);
    if longer == 0.0 {
        return 0.0;
    }
    let ratio = min(a, b) / longer;
    return longer * sqrt(1.0 + ratio * ratio);
}

// The norm of the unscaled gradients. The parts are unscaled first, since the norm of the scaled gradients might
// overflow.
fn global_norm(total: Partial, unscale: f32) -> f32 {
    let small = sqrt(total.small) * unscale * DOWN;
    let middle = sqrt(total.middle) * unscale;
    let big = sqrt(total.big) * unscale * UP;
    return together(together(small, middle), big);
}

// --- norm/partial.wgsl ---

// The result of one workgroup of `norm`, which `tick` reads. `Partial` in src/tick/partial.rs.
//
// Squares of f32 overflow above 2^64 and vanish below 2^-63. So there are three sums of squares (Blue 1978, "A Portable
// Fortran Program to Find the Euclidean Norm of a Vector"): one of unscaled gradients, which is nearly always the only
// one; one of small gradients times 2^80; and one of big gradients times 2^-80. All gradients of an invocation go into
// the same sum. The largest of them decides which.

struct Partial {
    small: f32,
    middle: f32,
    big: f32,
    first_nonfinite: u32,     // the region's first element that counts as non-finite, or NONE
}

const NONE: u32 = 0xffffffffu;
const UP: f32 = 1208925819614629174706176.0;        // 2^80
const DOWN: f32 = 8.271806125530277e-25;            // 2^-80

// Each partial is packed into one vector: one access instead of four.
var<workgroup> tree: array<vec4<u32>, WORKGROUP>;

fn packed(x: Partial) -> vec4<u32> {
    return vec4<u32>(bitcast<u32>(x.small), bitcast<u32>(x.middle), bitcast<u32>(x.big), x.first_nonfinite);
}

fn unpacked(x: vec4<u32>) -> Partial {
    return Partial(bitcast<f32>(x.x), bitcast<f32>(x.y), bitcast<f32>(x.z), x.w);
}

fn add(a: Partial, b: Partial) -> Partial {
    return Partial(a.small + b.small, a.middle + b.middle, a.big + b.big, min(a.first_nonfinite, b.first_nonfinite));
}

// Adds up the partials of all invocations in a tree of two levels of 16, since barriers cost more than additions. The
// order of the additions, and so every bit of the result, depends only on the place of the terms. The result is for
// invocation 0.
fn reduce(index: u32, mine: Partial) -> Partial {
    tree[index] = packed(mine);
    workgroupBarrier();
    var total = mine;
    if index < 16u {
        for (var i = index + 16u; i < WORKGROUP; i += 16u) {
            total = add(total, unpacked(tree[i]));
        }
        tree[index] = packed(total);
    }
    workgroupBarrier();
    if index == 0u {
        for (var i = 1u; i < 16u; i++) {
            total = add(total, unpacked(tree[i]));
        }
    }
    return total;
}

// --- num/fixed.wgsl ---

// Fixed-point numbers in [0, 1): 64-bit integers that count units of 2^-64, with the lower 32 bits first. Integer
// arithmetic is the same on every driver. Twin: src/num/fixed.rs.

// The 64 bits of a*b, the lower 32 first.
fn wide(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let cross1 = (a >> 16u) * (b & 0xffffu);
    let cross2 = (a & 0xffffu) * (b >> 16u);
    let middle = (low >> 16u) + (cross1 & 0xffffu) + (cross2 & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (cross1 >> 16u) + (cross2 >> 16u) + (middle >> 16u);
    return vec2<u32>((middle << 16u) | (low & 0xffffu), high);
}

// The product of two fixed-point numbers, truncated: the upper half of the 128 bits.
fn product(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = wide(a.x, b.x);
    let cross1 = wide(a.x, b.y);
    let cross2 = wide(a.y, b.x);
    let high = wide(a.y, b.y);
    let sum1 = low.y + cross1.x;
    let sum2 = sum1 + cross2.x;
    let carry = select(0u, 1u, sum1 < low.y) + select(0u, 1u, sum2 < sum1);
    let low1 = high.x + cross1.y;
    let low2 = low1 + cross2.y;
    let low3 = low2 + carry;
    let carries = select(0u, 1u, low1 < high.x) + select(0u, 1u, low2 < low1) + select(0u, 1u, low3 < low2);
    return vec2<u32>(low3, high.y + carries);
}

// a*k, without what does not fit.
fn times(a: vec2<u32>, k: u32) -> vec2<u32> {
    let low = wide(a.x, k);
    return vec2<u32>(low.x, low.y + a.y * k);
}

// a + b modulo 2^64.
fn plus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// Shifts left by at most 63 bits.
fn left(a: vec2<u32>, bits: u32) -> vec2<u32> {
    if bits == 0u {
        return a;
    }
    if bits >= 32u {
        return vec2<u32>(0u, a.x << (bits - 32u));
    }
    return vec2<u32>(a.x << bits, (a.y << bits) | (a.x >> (32u - bits)));
}

// Of a number that is not 0.
fn leading_zeros(a: vec2<u32>) -> u32 {
    return select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
}

// A fixed-point number as an f32, rounded to nearest even.
fn fraction(units: vec2<u32>) -> f32 {
    if (units.x | units.y) == 0u {
        return 0.0;
    }
    let shift = leading_zeros(units);
    let bits = left(units, shift);
    // The top 24 bits are rounded by the rest. The conversion and the product with a power of two are exact.
    var top = bits.y >> 8u;
    let rest = bits.y & 0xffu;
    if rest > 0x80u || (rest == 0x80u && (bits.x != 0u || (top & 1u) == 1u)) {
        top += 1u;
    }
    return f32(top) * bitcast<f32>((127u - 24u - shift) << 23u);
}

// An f32 in [0, 1) as a fixed-point number. What is below 2^-64 is lost.
fn of_f32(x: f32) -> vec2<u32> {
    let scaled = x * 4294967296.0;
    let high = u32(scaled);
    return vec2<u32>(u32((scaled - f32(high)) * 4294967296.0), high);
}

fn negated(units: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(~units.x + 1u, ~units.y + select(0u, 1u, units.x == 0u));
}

// 1 - power as an f32, rounded to nearest even.
fn complement(power: vec2<u32>) -> f32 {
    if (power.x | power.y) == 0u {
        return 1.0;
    }
    return fraction(negated(power));
}

fn factor(s: Settings, t: u32) -> f32 { return 1.0; }

fn shared_sums(own: Partial) -> Partial { return own; }

fn unit_coef(s: Settings) -> f32 { return 1.0; }

fn clipped_norm(norm: f32) -> f32 { return norm; }

fn inverse_scale() -> f32 { return 1.0; }

fn adapt_scale(skipped: bool) {}
