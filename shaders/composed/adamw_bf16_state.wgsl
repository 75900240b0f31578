// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 64u;
const LIMITS: bool = false;
const EDGES: bool = false;
const grad_binding: u32 = 21u;
const param_binding: u32 = 20u;
const m_binding: u32 = 1u;
const v_binding: u32 = 2u;
const PARAM_STOCHASTIC: bool = false;
const STATE_STOCHASTIC: bool = true;
const STRADDLES: bool = false;
const scalars_binding: u32 = 5u;
const SCALAR_PADDING: u32 = 34u;
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

// --- access/state_bf16.wgsl ---

// The state tensor m as bf16.

@group(0) @binding(m_binding) var<storage, read_write> m: array<vec2<u32>>;

fn load_m(place: Place) -> Quad {
    return from_bf16(halves_of(m[place.state]));
}

fn store_m(place: Place, x: Quad) {
    m[place.state] = pair_of(to_bf16(x, noise(place, 1u), STATE_STOCHASTIC));
}

// --- access/state_bf16.wgsl ---

// The state tensor v as bf16.

@group(0) @binding(v_binding) var<storage, read_write> v: array<vec2<u32>>;

fn load_v(place: Place) -> Quad {
    return from_bf16(halves_of(v[place.state]));
}

fn store_v(place: Place, x: Quad) {
    v[place.state] = pair_of(to_bf16(x, noise(place, 2u), STATE_STOCHASTIC));
}

// --- num/half.wgsl ---

// Conversions between f32 and 16-bit floats, remainders and 32-bit integers, in integer arithmetic: no device feature
// is needed, and every driver gives the same bits. Twin: src/num/half.rs.

fn halves_of(pair: vec2<u32>) -> Bits {
    return Bits(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
}

fn pair_of(halves: Bits) -> vec2<u32> {
    return vec2<u32>(halves.x | (halves.y << 16u), halves.z | (halves.w << 16u));
}

// Replaces one or both of two halves. The other keeps its value.
fn merged(old: u32, now: u32, low: bool, high: bool) -> u32 {
    let mask = select(0u, 0xffffu, low) | select(0u, 0xffff0000u, high);
    return (old & ~mask) | (now & mask);
}

fn from_bf16(halves: Bits) -> Quad {
    return bitcast<Quad>(halves << Bits(16u));
}

// Rounds to nearest even or, stochastically, up if adding 16 bits of noise to the lower bits carries.
fn to_bf16(x: Quad, noise: Bits, stochastic: bool) -> Bits {
    // Rounding must not carry a NaN of which all bits are 1 into the sign. The upper bit of its mantissa, which each NaN of
    // arithmetic has, keeps it from becoming an infinity.
    let positive = bitcast<Bits>(min(bitcast<vec4<i32>>(x), vec4<i32>(0x7fff0000i)));
    let bits = min(positive, Bits(0xffff0000u));
    var up = Bits(0x7fffu) + ((bits >> Bits(16u)) & Bits(1u));
    if stochastic {
        up = noise;
    }
    return (bits + up) >> Bits(16u);
}

fn from_f16(halves: Bits) -> Quad {
    let sign = (halves & Bits(0x8000u)) << Bits(16u);
    let magnitude = halves & Bits(0x7fffu);
    // Numbers below 2^-14 count units of 2^-24.
    let tiny = bitcast<Bits>(Quad(magnitude) * 5.9604644775390625e-8);
    let shifted = magnitude << Bits(13u);
    let normal = shifted + Bits(112u << 23u);
    let special = shifted | Bits(0x7f800000u);
    let bits = select(select(normal, special, magnitude >= Bits(0x7c00u)), tiny, magnitude < Bits(0x400u));
    return bitcast<Quad>(sign | bits);
}

// Rounds as `to_bf16` does.
fn to_f16(x: Quad, noise: Bits, stochastic: bool) -> Bits {
    let bits = bitcast<Bits>(x);
    let sign = (bits >> Bits(16u)) & Bits(0x8000u);
    let magnitude = bits & Bits(0x7fffffffu);
    var up = Bits(0xfffu) + ((bits >> Bits(13u)) & Bits(1u));
    // For subnormal results: whole units of 2^-24, and the fraction of one.
    let units = min(bitcast<Quad>(magnitude), Quad(6.103515625e-5)) * 16777216.0;
    let floored = floor(units);
    let rest = units - floored;
    let whole = Bits(floored);
    var more = (rest > Quad(0.5)) | ((rest == Quad(0.5)) & ((whole & Bits(1u)) == Bits(1u)));
    if stochastic {
        up = noise >> Bits(3u);
        more = rest > Quad(noise) * 1.52587890625e-5;
    }
    let normal = min(((magnitude + up) >> Bits(13u)) - Bits(112u << 10u), Bits(0x7c00u));
    let tiny = whole + select(Bits(0u), Bits(1u), more);
    let special = select(Bits(0x7c00u), Bits(0x7e00u), magnitude > Bits(0x7f800000u));
    let finite = select(normal, tiny, magnitude < Bits(0x38800000u));
    return sign | select(finite, special, magnitude >= Bits(0x7f800000u));
}

// The bits of an f32. A NaN is replaced by one that is still a NaN after rounding.
fn plain_nan(x: Quad) -> Bits {
    let bits = bitcast<Bits>(x);
    let nan = (bits & Bits(0x7fffffffu)) > Bits(0x7f800000u);
    return select(bits, (bits & Bits(0x80000000u)) | Bits(0x7fc00000u), nan);
}

// The f32 made of a bf16 and its remainder, the lower 16 bits as a signed number.
fn joined(halves: Bits, remainders: Bits) -> Quad {
    return bitcast<Quad>((halves << Bits(16u)) + remainders - ((remainders & Bits(0x8000u)) << Bits(1u)));
}

// The integer times the region's scale. Both of its halves convert exactly, and their sum is rounded once.
fn from_i32(x: vec4<i32>) -> Quad {
    let upper = Quad(x >> Bits(16u)) * 65536.0;
    let lower = Quad(bitcast<Bits>(x) & Bits(0xffffu));
    return (upper + lower) * region.grad_scale;
}

// --- num/noise.wgsl ---

// Noise for stochastic rounding: 16 bits for each element and quantity. They depend on the seed, the step, the tensor's name and
// the element, and on nothing else. Twin: src/num/noise.rs.

fn mixed(bits: Bits) -> Bits {
    var x = bits;
    x = (x ^ (x >> Bits(16u))) * Bits(0x7feb352du);
    x = (x ^ (x >> Bits(15u))) * Bits(0x846ca68bu);
    return x ^ (x >> Bits(16u));
}

// Four elements share 32 random bits. Each takes 16 of them, and another 16 for each quantity that is rounded: two neighbours,
// and two quantities of an element, begin at least 5 bits apart.
fn noise(place: Place, stream: u32) -> Bits {
    var element = Bits(place.state * LANES + place.stream_seed) + Bits(0u, 1u, 2u, 3u);
    var lane = element & Bits(3u);
    if !STRADDLES {
        // The quad has the elements of one quad of its tensor.
        element = Bits(element.x);
        lane = Bits(0u, 1u, 2u, 3u);
    }
    let random = mixed((element >> Bits(2u)) ^ Bits(place.t * 0x9e3779b9u));
    return (random >> (Bits(5u) * ((lane + Bits(stream)) & Bits(3u)))) & Bits(0xffffu);
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

// --- region/one_span.wgsl ---

// A workgroup's tile if the region is one span. `many_spans.wgsl` is for several.

fn tile(number: u32, quads: u32) -> Tile {
    let shift = region.state - region.quad;
    return Tile(region.quad + number * quads, region.begin, region.end, 0u, shift, region.stream_seed);
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
