// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 64u;
const LIMITS: bool = false;
const EDGES: bool = false;
const grad_binding: u32 = 21u;
const param_binding: u32 = 20u;
const m_binding: u32 = 1u;
const v_binding: u32 = 2u;
const scalars_binding: u32 = 5u;
const SCALAR_PADDING: u32 = 34u;
const tiles_binding: u32 = 6u;
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

// --- update/update.wgsl ---

// Steps each element, with the scalars of `tick`. Twin: src/cpu/update.rs.
//
// The rule loads and stores its state. All loads and stores are in the files of access/ that fit the tensors.

fn apply(s: Scalars, tile: Tile, quad: u32) {
    if quad * LANES >= tile.end {
        return;
    }
    let place = place_of(tile, quad, s.t);
    if s.do_step != 0u {
        let param = read_param(place);
        let g = gradient(s, load_grad(quad), param);
        write_param(place, moved(s, param, rule(s, place, g)));
    }
    zero_grad(s, place);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = own_tile(workgroup, workgroups, index);
    let s = scalars(tile.clock);
    let quad = own_quad(tile, index);
    // Unrolled by hand: a loop is slower on some drivers.
    apply(s, tile, quad);
    apply(s, tile, quad + LINE);
    apply(s, tile, quad + 2u * LINE);
    apply(s, tile, quad + 3u * LINE);
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

// --- region/many_clocks.wgsl ---

// The scalars if the region has several spans, each with its own clock. `one_clock.wgsl` is for a single span.
//
// Some drivers load a struct for each invocation and field by field, and then each load counts. So a slot is loaded in fours;
// the host writes the function `scalars` from the list of fields.

@group(0) @binding(scalars_binding) var<storage, read> scalar_slots: array<vec4<u32>>;

const SLOT_QUADS: u32 = 16u;

fn scalars(clock: u32) -> Scalars {
    let first = clock * SLOT_QUADS;
    var s: Scalars;
    let q0 = scalar_slots[first + 0u];
    s.do_step = bitcast<u32>(q0.x);
    s.grad_mul = bitcast<f32>(q0.y);
    s.l2 = bitcast<f32>(q0.z);
    s.m_rate = bitcast<f32>(q0.w);
    let q1 = scalar_slots[first + 1u];
    s.v_rate = bitcast<f32>(q1.x);
    s.m_from_target = bitcast<u32>(q1.y);
    s.v_from_target = bitcast<u32>(q1.z);
    s.m_coef = bitcast<f32>(q1.w);
    let q2 = scalar_slots[first + 2u];
    s.g_coef = bitcast<f32>(q2.x);
    s.v_coef = bitcast<f32>(q2.y);
    s.min_root = bitcast<f32>(q2.z);
    s.bound = bitcast<f32>(q2.w);
    let q3 = scalar_slots[first + 3u];
    s.slow_rate = bitcast<f32>(q3.x);
    s.newest_weight = bitcast<f32>(q3.y);
    s.inner_decay = bitcast<f32>(q3.z);
    s.max_coef = bitcast<f32>(q3.w);
    let q4 = scalar_slots[first + 4u];
    s.eps = bitcast<f32>(q4.x);
    s.eps_root = bitcast<f32>(q4.y);
    s.adamax_beta2 = bitcast<f32>(q4.z);
    s.m_gain = bitcast<f32>(q4.w);
    let q5 = scalar_slots[first + 5u];
    s.decay = bitcast<f32>(q5.x);
    s.limit = bitcast<f32>(q5.y);
    s.param_min = bitcast<f32>(q5.z);
    s.param_max = bitcast<f32>(q5.w);
    let q6 = scalar_slots[first + 6u];
    s.cautious = bitcast<u32>(q6.x);
    s.t = bitcast<u32>(q6.y);
    s.lr = bitcast<f32>(q6.z);
    s.snr = bitcast<f32>(q6.w);
    let q7 = scalar_slots[first + 7u];
    s.unscale = bitcast<f32>(q7.x);
    s.keep_grad = bitcast<u32>(q7.y);
    return s;
}

// --- region/tiles.wgsl ---

// How a workgroup of the update kernel shares its tiles: 16 invocations own a tile of 64 quads, 4 each. 8 neighbours load one
// line at a time, and their next lines follow it.

const OWN_QUADS: u32 = 4u;
const TILE_QUADS: u32 = 64u;
const SHARERS: u32 = TILE_QUADS / OWN_QUADS;
const TILES: u32 = WORKGROUP / SHARERS;

fn own_tile(workgroup: vec3<u32>, workgroups: vec3<u32>, index: u32) -> Tile {
    return tile(number(workgroup, workgroups) * TILES + index / SHARERS, TILE_QUADS);
}

// An invocation's first quad of its tile. Its others are LINE quads apart.
fn own_quad(tile: Tile, index: u32) -> u32 {
    let sharer = index % SHARERS;
    return tile.quad + sharer / LINE * (LINE * OWN_QUADS) + sharer % LINE;
}

// --- region/many_spans.wgsl ---

// A workgroup's tile if the region has several spans: the host lists the tiles. `one_span.wgsl` is for one span.

@group(0) @binding(tiles_binding) var<storage, read> tiles: array<Tile>;

fn tile(number: u32, quads: u32) -> Tile {
    // The dispatch may be larger than the list. A workgroup beyond it owns nothing.
    if number >= region.tiles {
        return Tile(0u, 0u, 0u, 0u, 0u, 0u);
    }
    return tiles[number];
}

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
