// A module as the host composes it from the files of shaders/, for reading. Rewritten by
// `REWRITE_COMPOSED=1 cargo test --lib composed`.

const WORKGROUP: u32 = 256u;
const QUADS: u32 = 16u;
const EDGES: bool = false;
const partials_binding: u32 = 7u;
const grad_binding: u32 = 21u;
const rows_binding: u32 = 11u;
const PARAM_STEP: u32 = 1u;
const PARTIAL: bool = false;
const active_binding: u32 = 14u;
const listed_binding: u32 = 16u;
const region_binding: u32 = 0u;

// --- norm/norm_rows.wgsl ---

// The sums of squares of the gradients of active rows. A workgroup has every n-th tile, where n is the number of
// workgroups, so that the number of partials is bounded and does not depend on the number of active rows. Twin:
// src/cpu/norm.rs.

// The number of tiles for workgroup `at`.
fn tiles_in_use(at: u32) -> u32 {
    // An inactive tensor has no end. The dispatch may have more workgroups than partials.
    if region.end == 0u || at >= region.tiles {
        return 0u;
    }
    return (candidates() + rows.norm_rows - 1u) / rows.norm_rows;
}

fn gradients(slot: Slot) -> Quad {
    if slot.row == NO_ROW {
        return Quad(0.0);
    }
    return select(Quad(0.0), load_grad(slot.grad), mask_of(slot));
}

// The number of the slot's first element in the region.
fn first_element(slot: Slot) -> u32 {
    return region.begin + slot.row * rows.width + slot.k * LANES;
}

@compute @workgroup_size(WORKGROUP)
fn norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let first = index / LINE * (LINE * QUADS) + index % LINE;
    let tiles = tiles_in_use(at);
    var seen = Seen(Quad(0.0), Bits(0u));
    for (var tile = at; tile < tiles; tile += region.tiles) {
        for (var k = 0u; k < QUADS; k++) {
            seen = take(seen, gradients(slot_of(tile, rows.norm_rows, first + k * LINE)));
        }
    }
    let top = largest(seen.top);
    let rare = is_rare(top);
    var mine = Partial(0.0, select(sum(seen.squares), 0.0, rare), 0.0, NONE);
    // A compiler may run both sides of an `if`, but a loop of no iterations ends immediately.
    let scale = select(UP, DOWN, top >= BIG);
    var squares = Quad(0.0);
    for (var tile = at; tile < select(0u, tiles, rare); tile += region.tiles) {
        for (var k = 0u; k < QUADS; k++) {
            let slot = slot_of(tile, rows.norm_rows, first + k * LINE);
            let g = gradients(slot);
            squares += (scale * g) * (scale * g);
            let lane = first_lane(magnitude(g) >= Bits(region.nonfinite_bits));
            if lane < LANES {
                mine.first_nonfinite = min(mine.first_nonfinite, first_element(slot) + lane);
            }
        }
    }
    if top >= BIG {
        mine.big = sum(squares);
    } else {
        mine.small = sum(squares);
    }
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
