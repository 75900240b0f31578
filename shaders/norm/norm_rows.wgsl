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
