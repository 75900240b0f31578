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
