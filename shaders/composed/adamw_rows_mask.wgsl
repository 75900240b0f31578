// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 256u;
const LIMITS: bool = false;
const EDGES: bool = false;
const grad_binding: u32 = 21u;
const param_binding: u32 = 20u;
const m_binding: u32 = 1u;
const v_binding: u32 = 2u;
const scalars_binding: u32 = 5u;
const SCALAR_PADDING: u32 = 34u;
const rows_binding: u32 = 11u;
const PARAM_STEP: u32 = 1u;
const PARTIAL: bool = false;
const active_binding: u32 = 14u;
const SLOTS: u32 = 256u;
const tables_binding: u32 = 12u;
const STATE_STEP: u32 = 1u;
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

// --- update/update_rows.wgsl ---

// Steps whole rows, none of whose quads needs to know another. Twin: src/cpu/rows.rs.

fn apply(s: Scalars, tile: u32, index: u32) {
    own = slot_of(tile, rows.update_rows, index);
    if own.row == NO_ROW {
        return;
    }
    let place = place_of_slot(own, s.t);
    if s.do_step != 0u {
        let param = read_param(place);
        let step = rule(s, place, gradient(s, load_grad(own.grad), param));
        let rate = tables.columns[own.k] * rate_of(own.row);
        write_param(place, limited(s, param - rate * (decay_of(s, param, step) + step)));
    }
    var grads = place;
    grads.quad = own.grad;
    zero_grad(s, grads);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    apply(scalars(0u), number(workgroup, workgroups), index);
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

fn squared(g: Quad) -> Quad { return g * g; }

// --- access/state_f32.wgsl ---

// The state tensor m as f32.

@group(0) @binding(m_binding) var<storage, read_write> m: array<vec4<f32>>;

fn load_m(place: Place) -> Quad {
    return m[place.state];
}

fn store_m(place: Place, x: Quad) {
    m[place.state] = x;
}

// --- access/state_f32.wgsl ---

// The state tensor v as f32.

@group(0) @binding(v_binding) var<storage, read_write> v: array<vec4<f32>>;

fn load_v(place: Place) -> Quad {
    return v[place.state];
}

fn store_v(place: Place, x: Quad) {
    v[place.state] = x;
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

// --- rows/mask.wgsl ---

// A row is active if its u32 is not 0.

@group(0) @binding(active_binding) var<storage, read> active_rows: array<u32>;

fn candidates() -> u32 {
    return rows.count;
}

fn row_of(candidate: u32) -> u32 {
    return select(NO_ROW, candidate, active_rows[rows.active_at + rows.first + candidate] != 0u);
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
