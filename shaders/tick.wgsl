// The clock: one workgroup that finishes the norm, decides on the step, and makes each group's scalars for it.
// Twin: src/clock.rs and src/cpu/tick.rs. All that depends on time is made here; `update` knows no t.

// What does not change from step to step. `Control` in kernels.rs.
struct Control {
    groups: u32,
    partials: u32,
    guard: u32,         // 1 to skip a step with a bad gradient
    clip: u32,          // 1 to clip by global norm
    max_norm: f32,
    limit: f32,         // clip by value
    nan: u32,           // the bits of a NaN, which WGSL has no way to write
    pad: u32,
}

// A group's configuration. `Settings` in clock.rs. beta^t and beta count units of 2^-64, low word first.
struct Settings {
    beta1: vec2<u32>,
    beta2: vec2<u32>,
    lr: f32,
    eps: f32,
    l2: f32,
    weight_decay: f32,
    sign: f32,
    m_rate: f32,
    v_rate: f32,
    m_from_target: u32,
    v_from_target: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

// A group's clock. `GroupClock` in report.rs.
struct GroupClock {
    power1: vec2<u32>,  // beta1^t
    power2: vec2<u32>,
    t: u32,             // steps applied
    lr: f32,            // of the last step
}

// `Clock` in report.rs.
struct Clock {
    applied: u32,
    skipped: u32,
    last_skipped: u32,  // 1 where the last step was
    bad_partial: u32,   // of the last skipped step: the first partial with a bad element, or NONE
    bad_element: u32,   // and that element of its launch
    grad_norm: f32,     // of the last step
    clip_coef: f32,
    pad: u32,
    groups: array<GroupClock>,
}

@group(0) @binding(0) var<uniform> control: Control;
@group(0) @binding(1) var<storage, read> settings: array<Settings>;
@group(0) @binding(2) var<storage, read> partials: array<Partial>;
@group(0) @binding(3) var<storage, read_write> clock: Clock;
@group(0) @binding(4) var<storage, read_write> slots: array<Slot>;

var<workgroup> skip: u32;
var<workgroup> clip_coef: f32;

// The 64 bits of a*b, low word first.
fn wide(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let cross1 = (a >> 16u) * (b & 0xffffu);
    let cross2 = (a & 0xffffu) * (b >> 16u);
    let middle = (low >> 16u) + (cross1 & 0xffffu) + (cross2 & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (cross1 >> 16u) + (cross2 >> 16u) + (middle >> 16u);
    return vec2<u32>((middle << 16u) | (low & 0xffffu), high);
}

// The product of two numbers in [0, 1) that count units of 2^-64, truncated: the upper half of the 128 bits.
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

// 1 - power as an f32, rounded to nearest even.
fn complement(power: vec2<u32>) -> f32 {
    if (power.x | power.y) == 0u {
        return 1.0;
    }
    // Negate, then shift the leading bit to the top.
    var high = ~power.y + select(0u, 1u, power.x == 0u);
    var low = ~power.x + 1u;
    var shift = 0u;
    if high == 0u {
        high = low;
        low = 0u;
        shift = 32u;
    }
    let left = countLeadingZeros(high);
    if left > 0u {
        high = (high << left) | (low >> (32u - left));
        low = low << left;
    }
    shift += left;
    // The top 24 bits, the rest rounded; then an exact conversion and an exact power of two.
    var top = high >> 8u;
    let rest = high & 0xffu;
    if rest > 0x80u || (rest == 0x80u && (low != 0u || (top & 1u) == 1u)) {
        top += 1u;
    }
    return f32(top) * bitcast<f32>((127u - 24u - shift) << 23u);
}

// The partials that one invocation finishes, in ascending order.
fn finish_partials(index: u32) {
    var mine = Partial(0.0, 0.0, 0.0, NONE);
    for (var i = index; i < control.partials; i += WORKGROUP) {
        let partial = partials[i];
        mine.small += partial.small;
        mine.middle += partial.middle;
        mine.big += partial.big;
        if partial.first_bad != NONE {
            mine.first_bad = min(mine.first_bad, i);
        }
    }
    reduce(index, mine);
}

// From the scale that neither overflowed nor lost what counts.
fn global_norm(total: Partial) -> f32 {
    if total.middle < 8.673617e-19 {            // 2^-60
        return sqrt(total.small) * DOWN;
    }
    if total.middle > 8.507059e37 {             // 2^126
        return sqrt(total.big) * UP;
    }
    return sqrt(total.middle);
}

// What holds for all groups: the norm, the clip coefficient, whether to skip.
fn decide() {
    skip = 0u;
    clip_coef = 1.0;
    if control.partials > 0u {
        let total = tree[0];
        // At the lowest scale no sum of finite gradients overflows.
        let finite = (bitcast<u32>(total.big) & 0x7f800000u) != 0x7f800000u;
        clock.grad_norm = select(total.big, global_norm(total), finite);
        if control.clip != 0u {
            // Without the guard a gradient that is not finite makes every parameter NaN: seen, not hidden.
            clip_coef = select(
                bitcast<f32>(control.nan),
                min(1.0, control.max_norm / (clock.grad_norm + 1e-6)),
                finite,
            );
        }
        if control.guard != 0u && total.first_bad != NONE {
            skip = 1u;
            clock.bad_partial = total.first_bad;
            clock.bad_element = partials[total.first_bad].first_bad;
        }
    }
    clock.clip_coef = clip_coef;
    clock.last_skipped = skip;
    clock.skipped += skip;
    // Both counts stop at the last u32.
    clock.applied += select(0u, 1u, skip == 0u && clock.applied != 0xffffffffu);
}

fn tick_group(i: u32) {
    let s = settings[i];
    let now = clock.groups[i];
    let first = now.t == 0u;
    let power1 = select(product(now.power1, s.beta1), s.beta1, first);
    let power2 = select(product(now.power2, s.beta2), s.beta2, first);
    let t = now.t + select(1u, 0u, now.t == 0xffffffffu);
    clock.groups[i] = GroupClock(power1, power2, t, s.lr);
    slots[i].scalars = Scalars(
        1u,
        s.sign * clip_coef,
        s.l2,
        s.m_rate,
        s.v_rate,
        s.m_from_target,
        s.v_from_target,
        s.lr / complement(power1),
        1.0 / sqrt(complement(power2)),
        s.eps,
        s.lr * s.weight_decay,
        control.limit,
    );
}

@compute @workgroup_size(WORKGROUP)
fn tick(@builtin(local_invocation_index) index: u32) {
    finish_partials(index);
    if index == 0u {
        decide();
    }
    workgroupBarrier();
    for (var i = index; i < control.groups; i += WORKGROUP) {
        if skip == 0u {
            tick_group(i);
        } else {
            slots[i].scalars.do_step = 0u;
        }
    }
}
