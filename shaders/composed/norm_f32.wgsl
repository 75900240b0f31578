// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 256u;
const QUADS: u32 = 16u;
const EDGES: bool = false;
const partials_binding: u32 = 7u;
const grad_binding: u32 = 21u;
const region_binding: u32 = 0u;

// --- norm/norm.wgsl ---

// Sums of squares of the gradients and the first non-finite one: one partial per workgroup. Twin: src/cpu/norm.rs.
// Non-finite numbers are found by an integer test on the magnitude's bits, since some drivers optimise `x != x` away.

// The gradients of one quad. Elements outside the tile are zero.
fn gradients(own: Tile, quad: u32) -> Quad {
    if quad * LANES >= own.end {
        return Quad(0.0);
    }
    let g = load_grad(quad);
    if EDGES {
        return select(Quad(0.0), g, inside(quad, own.begin, own.end));
    }
    return g;
}

fn nonfinite_element(quad: u32, g: Quad) -> u32 {
    let lane = first_lane(magnitude(g) >= Bits(region.nonfinite_bits));
    return select(NONE, quad * LANES + lane, lane < LANES);
}

// Sums the same gradients again if they are small or big, at a scale at which their squares neither overflow nor
// vanish, and finds the first non-finite one. Otherwise `quads` is 0. This is a loop and not an `if`, because a
// compiler may run both sides of an `if`, but a loop of no iterations ends immediately.
fn rescaled_sum(own: Tile, quad: u32, top: u32, quads: u32) -> Partial {
    let big = top >= BIG;
    let scale = select(UP, DOWN, big);
    var squares = Quad(0.0);
    var first_nonfinite = NONE;
    for (var k = 0u; k < quads; k++) {
        let g = gradients(own, quad + k * LINE);
        squares += (scale * g) * (scale * g);
        first_nonfinite = min(first_nonfinite, nonfinite_element(quad + k * LINE, g));
    }
    let all = sum(squares);
    return Partial(select(all, 0.0, big), 0.0, select(0.0, all, big), first_nonfinite);
}

@compute @workgroup_size(WORKGROUP)
fn norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let own = tile(at, QUADS * WORKGROUP);
    // As in tiles.wgsl: 8 neighbours load one line at a time, and their next lines follow it.
    let quad = own.quad + index / LINE * (LINE * QUADS) + index % LINE;
    var seen = Seen(Quad(0.0), Bits(0u));
    // Unrolled by hand: a loop is slower on some drivers.
    seen = take(seen, gradients(own, quad));
    seen = take(seen, gradients(own, quad + 1u * LINE));
    seen = take(seen, gradients(own, quad + 2u * LINE));
    seen = take(seen, gradients(own, quad + 3u * LINE));
    seen = take(seen, gradients(own, quad + 4u * LINE));
    seen = take(seen, gradients(own, quad + 5u * LINE));
    seen = take(seen, gradients(own, quad + 6u * LINE));
    seen = take(seen, gradients(own, quad + 7u * LINE));
    seen = take(seen, gradients(own, quad + 8u * LINE));
    seen = take(seen, gradients(own, quad + 9u * LINE));
    seen = take(seen, gradients(own, quad + 10u * LINE));
    seen = take(seen, gradients(own, quad + 11u * LINE));
    seen = take(seen, gradients(own, quad + 12u * LINE));
    seen = take(seen, gradients(own, quad + 13u * LINE));
    seen = take(seen, gradients(own, quad + 14u * LINE));
    seen = take(seen, gradients(own, quad + 15u * LINE));
    let top = largest(seen.top);
    let rare = is_rare(top);
    var mine = rescaled_sum(own, quad, top, select(0u, QUADS, rare));
    mine.middle = select(sum(seen.squares), 0.0, rare);
    let total = reduce(index, mine);
    if index == 0u && at < region.tiles {
        partials[region.partial + at] = total;
    }
}

// --- norm/squares.wgsl ---

// What both forms of the norm share: the sum of squares of one invocation. Twin: src/cpu/norm.rs.

@group(0) @binding(partials_binding) var<storage, read_write> partials: array<Partial>;

// The sums of squares and the largest magnitudes of an invocation.
struct Seen {
    squares: Quad,
    top: Bits,
}

fn take(seen: Seen, g: Quad) -> Seen {
    return Seen(seen.squares + g * g, max(seen.top, magnitude(g)));
}

// If the largest magnitude is at least 2^46, the gradients are big: below that, 2^32 squares do not overflow. If it is
// below 2^-40, they are small: next to the square of 2^-40, squares that vanish do not matter.
const BIG: u32 = 0x56800000u;
const SMALL: u32 = 0x2b800000u;

// Whether the squares may overflow or vanish.
fn is_rare(top: u32) -> bool {
    return (top != 0u && top < SMALL) || top >= BIG;
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

// --- access/aligned_f32.wgsl ---

// grad as f32, loaded and stored four at a time.

@group(0) @binding(grad_binding) var<storage, read> grad: array<vec4<f32>>;

fn load_grad(quad: u32) -> Quad {
    return grad[quad];
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
