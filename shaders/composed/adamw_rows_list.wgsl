// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 256u;
const LIMITS: bool = false;
const EDGES: bool = false;
const grad_binding: u32 = 21u;
const param_binding: u32 = 20u;
const m_binding: u32 = 1u;
const v_binding: u32 = 2u;
const row_steps_binding: u32 = 18u;
const scalars_binding: u32 = 5u;
const SCALAR_PADDING: u32 = 34u;
const rows_binding: u32 = 11u;
const PARAM_STEP: u32 = 1u;
const PARTIAL: bool = false;
const active_binding: u32 = 14u;
const listed_binding: u32 = 16u;
const SLOTS: u32 = 256u;
const tables_binding: u32 = 12u;
const STATE_STEP: u32 = 1u;
const ROWS_SETTLE: bool = true;
const IN_BLOCKS: bool = false;
const BLOCK_QUADS: u32 = 64u;
const region_binding: u32 = 0u;

// --- rules/adam.wgsl ---

// Adam: Kingma & Ba 2015, Algorithm 1. The learning rate and the bias corrections are in m_coef and v_coef. RAdam differs
// only in its scalars.

fn rule(s: Scalars, place: Place, g: Quad) -> Quad {
    let m = average(load_m(place), g, s.m_rate, s.m_from_target);
    let v = average(load_v(place), squared(g), s.v_rate, s.v_from_target);
    store_m(place, m);
    store_v(place, v);
    return (s.m_coef * m) / divisor(s, v + s.eps_root);
}

// --- update/update_rows_shared.wgsl ---

// Steps whole rows whose quads share something: a second moment, a step count, or the scale of an 8-bit block. It is known
// only when all quads of the row have been loaded, or computed. Twin: src/cpu/rows.rs.

fn block_of(slot: Slot) -> u32 {
    return slot.local * rows.blocks + slot.k / BLOCK_QUADS;
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = number(workgroup, workgroups);
    let s = scalars(0u);
    clear_sizes(index);
    own = slot_of(tile, rows.update_rows, index);
    let steps = own.row != NO_ROW && s.do_step != 0u;
    let place = place_of_slot(own, s.t);
    var param: Quad;
    var g: Quad;
    if steps {
        param = read_param(place);
        g = select(Quad(0.0), gradient(s, load_grad(own.grad), param), place.mask);
        note_squares(index, g);
    }
    if ROWS_SETTLE {
        workgroupBarrier();
        // Neighbours settle one row each: that is faster than the first quad of each row.
        if index < rows.update_rows {
            let row = with_gradient(row_of(tile * rows.update_rows + index));
            if row != NO_ROW && s.do_step != 0u {
                settle_moments(index, row);
                settle_steps(s, index, row);
            }
        }
        workgroupBarrier();
    }
    if steps {
        begin_state(place);
        let step = rule(scalars_of_row(s), place, g);
        let rate = tables.columns[own.k] * rate_of(own.row);
        param = limited(s, param - rate * (decay_of(s, param, step) + step));
        size_state(kept, place.mask);
        note_sizes(block_of(own));
    }
    if IN_BLOCKS {
        workgroupBarrier();
    }
    if steps {
        settle_state(block_of(own));
        end_state(place);
        encode_state(place, kept);
        write_param(place, param);
    }
    if own.row != NO_ROW {
        var grads = place;
        grads.quad = own.grad;
        zero_grad(s, grads);
    }
}

// --- update/gradient.wgsl ---

// The parts that rules share: the gradient that a rule gets, and averages. Twin: src/cpu/gradient.rs.

// Moves an exponential average one step towards `x`, to beta*old + (1 - beta)*x, as base + rate*(x - old). The base is `old`
// and the rate is 1 - beta; for a beta below a half, the base is `x` and the rate is -beta. Both rates are rounded only once:
// 1 - beta is not computed from a rounded beta. The choice at run time has a second reason: some compilers turn a plain
// `old + rate*(x - old)` into `old*(1 - rate) + x*rate`, which rounds beta again.
fn average(old: Quad, x: Quad, rate: f32, from_target: u32) -> Quad {
    return select(old, x, from_target != 0u) + rate * (x - old);
}

// The result of the built-in `max` is undefined if one argument is NaN. Here a NaN in `x` is ignored.
fn larger(old: Quad, x: Quad) -> Quad {
    return select(old, x, x > old);
}

// 2^64 less 0.4 %. Its square is finite in bf16 too, even after a few roundings.
const MOST: f32 = 18374686479671623680.0;

// A finite gradient whose square overflows would make v infinite and freeze the parameter. It is bounded. Infinities and NaNs
// pass unchanged, so that they are noticed.
fn squarable(g: Quad) -> Quad {
    return select(clamp(g, Quad(-MOST), Quad(MOST)), g, magnitude(g) >= Bits(0x7f800000u));
}

// A sum of squares that overflows stays at the largest bf16, for the same reason. NaNs pass unchanged.
fn within_bf16(sum: Quad) -> Quad {
    let overflows = (bitcast<Bits>(sum) - Bits(0x7f7f0000u)) <= Bits(0x10000u);
    return select(sum, bitcast<Quad>(Bits(0x7f7f0000u)), overflows);
}

// The divisor of a step: the root of v with its bias correction, and eps. A root that has underflowed to zero is replaced
// by `min_root`, so that the step has a bound.
fn divisor(s: Scalars, v: Quad) -> Quad {
    let root = sqrt(v) * s.v_coef;
    return select(root, Quad(s.min_root), root == Quad(0.0)) + s.eps;
}

// Where a bound applies, a NaN must stay a NaN, so that it is noticed. Some drivers make the built-in `min` and `max` of
// comparisons, which ignore a NaN. So it is found by its bits, and put back.
fn unless_nan(x: Quad, bounded: Quad) -> Quad {
    return select(bounded, x, magnitude(x) > Bits(0x7f800000u));
}

fn clipped(g: Quad, limit: f32) -> Quad {
    let bound = select(Quad(limit), Quad(-limit), g < Quad(0.0));
    return unless_nan(g, select(g, bound, abs(g) > Quad(limit)));
}

fn gradient(s: Scalars, grad: Quad, param: Quad) -> Quad {
    var g = s.grad_mul * grad;
    if LIMITS {
        g = clipped(g, s.limit);
    }
    return squarable(g + s.l2 * param);
}

// Cautious decay spares parameters that the step moves away from zero.
fn decay_of(s: Scalars, param: Quad, step: Quad) -> Quad {
    let decay = s.decay * param;
    if LIMITS {
        let towards = ((step > Quad(0.0)) & (param > Quad(0.0))) | ((step < Quad(0.0)) & (param < Quad(0.0)));
        return select(Quad(0.0), decay, towards | Mask(s.cautious == 0u));
    }
    return decay;
}

fn limited(s: Scalars, next: Quad) -> Quad {
    if LIMITS {
        let above = select(next, Quad(s.param_min), next < Quad(s.param_min));
        return unless_nan(next, select(above, Quad(s.param_max), above > Quad(s.param_max)));
    }
    return next;
}

// Decay and step are added to each other first, so that only one rounding is at the parameter's magnitude.
fn moved(s: Scalars, param: Quad, step: Quad) -> Quad {
    return limited(s, param - (decay_of(s, param, step) + step));
}

// --- access/aligned_f32.wgsl ---

// grad as f32, loaded and stored four at a time.

@group(0) @binding(grad_binding) var<storage, read> grad: array<vec4<f32>>;

fn load_grad(quad: u32) -> Quad {
    return grad[quad];
}

fn zero_grad(s: Scalars, place: Place) {}

// --- access/aligned_f32.wgsl ---

// param as f32, loaded and stored four at a time.

@group(0) @binding(param_binding) var<storage, read_write> param: array<vec4<f32>>;

fn load_param(quad: u32) -> Quad {
    return param[quad];
}

fn store_param(quad: u32, x: Quad, mask: Mask) {
    let at = quad;
    if EDGES && !all(mask) {
        if mask.x { param[at].x = x.x; }
        if mask.y { param[at].y = x.y; }
        if mask.z { param[at].z = x.z; }
        if mask.w { param[at].w = x.w; }
        return;
    }
    param[at] = x;
}

// --- access/param_f32.wgsl ---

// The parameter is f32.

fn read_param(place: Place) -> Quad {
    return load_param(place.quad);
}

fn write_param(place: Place, x: Quad) {
    store_param(place.quad, x, place.mask);
}

// --- rows/row_v.wgsl ---

// The second moment is one number per row: it averages the mean or the sum of the squares of the row. The sum adds up the
// quads of the row in ascending order, and then the lanes. It is multiplied only at the end: some compilers would do so
// anyway.

@group(0) @binding(v_binding) var<storage, read_write> v: array<f32>;

var<workgroup> quad_squares: array<vec4<f32>, SLOTS>;

// The row's v before the step, and the mean or sum of its squares.
var<workgroup> row_moments: array<vec2<f32>, SLOTS>;

fn note_squares(number: u32, g: Quad) {
    quad_squares[number] = g * g;
}

fn settle_moments(local: u32, row: u32) {
    var total = Quad(0.0);
    for (var k = 0u; k < rows.quads; k++) {
        total += quad_squares[local * rows.quads + k];
    }
    row_moments[local] = vec2<f32>(v[row], rows.mean * within_bf16(Quad(sum(total))).x);
}

fn squared(g: Quad) -> Quad {
    return Quad(row_moments[own.local].y);
}

fn load_v(place: Place) -> Quad {
    return Quad(row_moments[own.local].x);
}

// All elements of the row have the same v.
fn store_v(place: Place, x: Quad) {
    if own.k == 0u {
        v[own.row] = x.x;
    }
}

// --- access/state_f32.wgsl ---

// The state tensor m as f32.

@group(0) @binding(m_binding) var<storage, read_write> m: array<vec4<f32>>;

fn load_m(place: Place) -> Quad {
    return m[place.state];
}

fn store_m(place: Place, x: Quad) {
    m[place.state] = x;
}

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

// --- region/one_clock.wgsl ---

// The scalars if the region has one clock. `many_clocks.wgsl` is for several.

@group(0) @binding(scalars_binding) var<uniform> scalar_slot: Scalars;

fn scalars(clock: u32) -> Scalars {
    return scalar_slot;
}

// --- rows/rows_uniform.wgsl ---

// What the host says about a region of rows. Twin: src/gpu/rows.rs.

// `RowsUniform` in src/gpu/rows.rs.
struct Rows {
    first: u32,         // the tensor's row that is the region's row 0
    count: u32,         // the rows of the region
    width: u32,         // the elements of a row
    quads: u32,         // the quads of a row
    inverse_quads: f32, // 1 / quads
    update_rows: u32,   // the rows of a tile of the update
    norm_rows: u32,     // the rows of a tile of the norm
    insight_rows: u32,  // the rows of a tile of the probe
    blocks: u32,        // the 8-bit blocks of a row
    stride: u32,        // from a row to the next in params and gradients: quads, or elements if the region is unaligned
    state_stride: u32,  // from a row to the next in the state: quads, or elements if the state is addressed by elements
    grad: u32,          // the place of the gradients' row 0 in their window, in the units of `stride`
    grad_rows: u32,     // the rows of the gradients, if they are compact
    row_lr_at: u32,     // the first element of this view in its window, and of the following ones
    active_at: u32,
    count_at: u32,
    inverse_at: u32,
    list_len: u32,      // the length of the list
    most_workgroups: u32, // in one dimension of a dispatch
    joined: u32,        // the quads of all rows, if rows are joined
    joined_grad: u32,   // the first quad of their gradients in its window
    joined_quads: u32,  // the quads of a joined row
    inverse_joined: f32, // 1 / joined_quads
    mean: f32,          // multiplies the sum of the squares of a row
    corrected: u32,     // 1 for bias correction by a row's own steps
    eps_root: f32,      // before that correction
    eps_in_v: u32,      // 1 if eps_root is not corrected
}

// `tables` in src/gpu/rows.rs.
struct RowTables {
    columns: array<vec4<f32>, 256>, // the factors of the columns
    beta1: array<vec4<u32>, 16>,    // beta1^(2^i), two to a vector
    beta2: array<vec4<u32>, 16>,
}

@group(0) @binding(rows_binding) var<uniform> rows: Rows;

// --- rows/rows.wgsl ---

// A region of whole rows. A row has its own quads, the last of which may be partial, so that no quad has elements of two
// rows. A tile is some rows. Its slots are their quads, row by row. Twin: src/plan/rows.rs, and src/gpu/rows.rs.

const NO_ROW: u32 = 0xffffffffu;

// A quad of a row.
struct Slot {
    local: u32,         // the number of its row in the tile
    row: u32,           // the number of its row in the region, or NO_ROW if there is nothing to do
    k: u32,             // its number in the row
    grad: u32,          // its place in the window of gradients
}

// A row of the region that is active, or NO_ROW. `row` may be NO_ROW.
fn with_gradient(row: u32) -> u32 {
    return select(NO_ROW, row, row < rows.count && grad_row(row) < rows.grad_rows);
}

// The slot of a tile with that number.
fn slot_of(tile: u32, tile_rows: u32, number: u32) -> Slot {
    let local = u32((f32(number) + 0.5) * rows.inverse_quads);
    let k = number - local * rows.quads;
    if local >= tile_rows {
        return Slot(local, NO_ROW, k, 0u);
    }
    let row = with_gradient(row_of(tile * tile_rows + local));
    return Slot(local, row, k, rows.grad + grad_row(row) * rows.stride + k * PARAM_STEP);
}

fn mask_of(slot: Slot) -> Mask {
    return Mask(!PARTIAL) | (elements(slot.k) < Bits(rows.width));
}

// --- rows/listed.wgsl ---

// What the device knows of a list: the size of the update's dispatch, and how many rows count. `Listed` in src/gpu/rows.rs.

struct Listed {
    x: u32,
    y: u32,
    z: u32,
    count: u32,
}

// --- rows/list.wgsl ---

// The rows of a list are active.

@group(0) @binding(active_binding) var<storage, read> active_rows: array<u32>;
@group(0) @binding(listed_binding) var<uniform> listed: Listed;

fn candidates() -> u32 {
    return listed.count;
}

// A row of another region becomes a number that is too large.
fn row_of(candidate: u32) -> u32 {
    if candidate >= listed.count {
        return NO_ROW;
    }
    return active_rows[rows.active_at + candidate] - rows.first;
}

fn grad_row(row: u32) -> u32 { return row; }

// --- rows/place.wgsl ---

// Where a slot is in the params and in the state.

@group(0) @binding(tables_binding) var<uniform> tables: RowTables;

// The slot whose rule is being applied.
var<private> own: Slot;

fn place_of_slot(slot: Slot, t: u32) -> Place {
    let state = slot.row * rows.state_stride + slot.k * STATE_STEP;
    // The noise counts the elements of the tensor.
    let element = (rows.first + slot.row) * rows.width + slot.k * LANES;
    let stream_seed = region.stream_seed + element - state * LANES;
    return Place(region.quad + slot.row * rows.stride + slot.k * PARAM_STEP, state, mask_of(slot), t, stream_seed);
}

fn rate_of(row: u32) -> f32 { return 1.0; }

// --- rows/row_steps.wgsl ---

// Each row counts its own steps, which correct the bias of its moments. Twin: src/cpu/rows.rs.

@group(0) @binding(row_steps_binding) var<storage, read_write> row_steps: array<u32>;

var<workgroup> row_coefs: array<vec4<f32>, SLOTS>;

fn settle_steps(s: Scalars, local: u32, row: u32) {
    let before = row_steps[row];
    let t = select(before + 1u, before, before == 0xffffffffu);
    row_steps[row] = t;
    if rows.corrected != 0u {
        row_coefs[local] = coefs_at(s, t);
    }
}

fn scalars_of_row(s: Scalars) -> Scalars {
    if rows.corrected == 0u {
        return s;
    }
    return with_coefs(s, row_coefs[own.local]);
}

// --- rows/corrections.wgsl ---

// The bias corrections of a row that counts its own steps. Twin: `scalars` in src/cpu/rows.rs.

// beta^t by the powers beta^(2^i). t is not 0.
fn power(t: u32, first: bool) -> vec2<u32> {
    var result = vec2<u32>(0u);
    var begun = false;
    for (var i = 0u; i < 32u && (t >> i) != 0u; i++) {
        if ((t >> i) & 1u) == 1u {
            let two = select(tables.beta2[i / 2u], tables.beta1[i / 2u], first);
            let factor = select(two.zw, two.xy, i % 2u == 0u);
            result = select(factor, product(result, factor), begun);
            begun = true;
        }
    }
    return result;
}

// m_coef, v_coef, eps_root and snr of a row that has taken t steps, including this one.
fn coefs_at(s: Scalars, t: u32) -> vec4<f32> {
    let correction1 = complement(power(t, true));
    let correction2 = complement(power(t, false));
    let eps_root = select(rows.eps_root * correction2, rows.eps_root, rows.eps_in_v != 0u);
    return vec4<f32>(s.lr / correction1, 1.0 / sqrt(correction2), eps_root, sqrt(correction2) / correction1);
}

fn with_coefs(s: Scalars, coefs: vec4<f32>) -> Scalars {
    var now = s;
    now.m_coef = coefs.x;
    now.v_coef = coefs.y;
    now.eps_root = coefs.z;
    now.snr = coefs.w;
    return now;
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

struct Kept { none: u32 }

var<private> kept: Kept;

fn clear_sizes(index: u32) {}

fn begin_state(place: Place) {}

fn size_state(state: Kept, mask: Mask) {}

fn note_sizes(block: u32) {}

fn settle_state(block: u32) {}

fn end_state(place: Place) {}

fn encode_state(place: Place, state: Kept) {}

// --- region/one_region.wgsl ---

// The region if a dispatch has only one. `many_regions.wgsl` is for several.

@group(0) @binding(region_binding) var<uniform> region: Region;

// The number of the workgroup in its region.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}

// --- region/region.wgsl ---

// A region: the tensors that one dispatch, or a part of one, steps together; and the tiles of its workgroups. Twin:
// src/plan/region.rs, and `RegionUniform` in src/gpu/uniforms.rs. Quads and elements are counted from the beginning of
// the bound window of params.

struct Region {
    quad: u32,          // the first quad, if all elements are in one span
    begin: u32,         // the span: elements begin..end
    end: u32,
    grad_shift: u32,    // from a quad's number (an element's, if unaligned) to its number in the window of grads
    tiles: u32,         // the number of tiles; `norm` writes a partial for each of its tiles
    workgroup: u32,     // its first workgroup, if the dispatch has several regions
    partial: u32,       // its first partial
    nonfinite_bits: u32, // magnitudes from this bit pattern on count as non-finite
    grad_scale: f32,    // the value of 1 in an integer gradient
    stream_seed: u32,   // see `Tile`, if all elements are in one span
    first_scale: u32,   // the first scale in a buffer of 8-bit codes, in units of 32 bits
    state: u32,         // the first quad of its state
}

// The elements that some invocations own: those of begin..end that are in their quads, the first of which is `quad`.
// `Tile` in src/plan/region.rs.
struct Tile {
    quad: u32,
    begin: u32,
    end: u32,
    clock: u32,
    shift: u32,         // added to a quad's number, it gives the quad of the state, which has no gaps
    stream_seed: u32,   // added to an element's number in the state, it gives the element's seed for the noise
}

// One quad of a tile: its number, its number in the state, and a mask of the elements that belong to the tile. An
// invocation never writes the other elements of the quad. They belong to another invocation.
struct Place {
    quad: u32,
    state: u32,
    mask: Mask,
    t: u32,             // the step and the tile's stream_seed, for the noise
    stream_seed: u32,
}

fn inside(quad: u32, begin: u32, end: u32) -> Mask {
    let e = elements(quad);
    return (e >= Bits(begin)) & (e < Bits(end));
}

fn place_of(tile: Tile, quad: u32, t: u32) -> Place {
    return Place(quad, quad + tile.shift, inside(quad, tile.begin, tile.end), t, tile.stream_seed);
}

// --- num/quad.wgsl ---

// Quads: a quad is the four elements that one load moves. Twin: src/num/quad.rs.

alias Quad = vec4<f32>;
alias Bits = vec4<u32>;
alias Mask = vec4<bool>;
const LANES: u32 = 4u;

// Quads that neighbouring invocations load at once: a line of memory (128 bytes of f32).
const LINE: u32 = 8u;

// The element numbers of a quad.
fn elements(quad: u32) -> Bits {
    return Bits(quad * LANES) + Bits(0u, 1u, 2u, 3u);
}

fn sum(x: Quad) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

// The bits of |x|.
fn magnitude(x: Quad) -> Bits {
    return bitcast<Bits>(x) & Bits(0x7fffffffu);
}

fn largest(x: Bits) -> u32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

// The first lane whose mask is true, or LANES.
fn first_lane(mask: Mask) -> u32 {
    return select(select(select(select(4u, 3u, mask.w), 2u, mask.z), 1u, mask.y), 0u, mask.x);
}
