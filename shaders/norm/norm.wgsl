// Sums of squares of the gradients and the first bad one, a partial a workgroup. Twin: src/cpu/norm.rs.
// Finite is an integer test on the magnitude's bits: `x != x` is optimised away by some drivers.

@group(0) @binding(partials_binding) var<storage, read_write> partials: array<Partial>;

// The gradients of one quad, zero where it has none.
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

// An invocation's sum of squares, and the largest magnitudes.
struct Seen {
    squares: Quad,
    top: Bits,
}

fn take(seen: Seen, g: Quad) -> Seen {
    return Seen(seen.squares + g * g, max(seen.top, magnitude(g)));
}

// Largest magnitudes from here on are big, and below that small: bits of 2^46, so that 2^32 squares do not overflow, and of
// 2^-40, beside whose square those that vanish count for nothing.
const BIG: u32 = 0x56800000u;
const SMALL: u32 = 0x2b800000u;

fn nonfinite_element(quad: u32, g: Quad) -> u32 {
    let lane = first_lane(magnitude(g) >= Bits(region.nonfinite_bits));
    return select(NONE, quad * LANES + lane, lane < LANES);
}

// The same gradients once more, where the largest is small or big: at a scale at which they can be squared, and for the first
// bad one. Elsewhere there are no quads to look at: where a compiler runs both sides of an `if`, a loop still ends at once.
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
    // As in tiles.wgsl: lines of 8 invocations, one behind the other.
    let quad = own.quad + index / LINE * (LINE * QUADS) + index % LINE;
    var seen = Seen(Quad(0.0), Bits(0u));
    // Not a loop: that is slower on some drivers.
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
    let rare = (top != 0u && top < SMALL) || top >= BIG;
    var mine = rescaled_sum(own, quad, top, select(0u, QUADS, rare));
    mine.middle = select(sum(seen.squares), 0.0, rare);
    let total = reduce(index, mine);
    if index == 0u && at < region.tiles {
        partials[region.partial + at] = total;
    }
}
