// Steps each element if the state is in 8-bit blocks. A tile is a block. The new scale of a block is known only when
// all of its elements are. So a first pass computes, and a second pass stores. Twin: src/cpu/update.rs and
// src/cpu/storage.rs.

// The results for a quad that are not yet stored.
struct Pending {
    param: Quad,
    state: Kept,
}

fn steps(s: Scalars, tile: Tile, quad: u32) -> bool {
    return s.do_step != 0u && quad * LANES < tile.end;
}

fn compute(s: Scalars, tile: Tile, quad: u32, block: u32) -> Pending {
    var pending: Pending;
    if steps(s, tile, quad) {
        let place = place_of(tile, quad, s.t);
        let param = read_param(place);
        let g = gradient(s, load_grad(quad), param);
        pending.param = moved(s, param, rule(s, place, g));
        pending.state = kept;
        note_state(place, block, kept);
    }
    return pending;
}

fn store(s: Scalars, tile: Tile, quad: u32, block: u32, pending: Pending) {
    if quad * LANES >= tile.end {
        return;
    }
    let place = place_of(tile, quad, s.t);
    if steps(s, tile, quad) {
        encode_state(place, block, pending.state);
        write_param(place, pending.param);
    }
    zero_grad(place);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = own_tile(workgroup, workgroups, index);
    let s = scalars(tile.clock);
    clear_scales(index);
    let block = index / SHARERS;
    let quad = own_quad(tile, index);
    let first = compute(s, tile, quad, block);
    let second = compute(s, tile, quad + LINE, block);
    let third = compute(s, tile, quad + 2u * LINE, block);
    let fourth = compute(s, tile, quad + 3u * LINE, block);
    workgroupBarrier();
    store(s, tile, quad, block, first);
    store(s, tile, quad + LINE, block, second);
    store(s, tile, quad + 2u * LINE, block, third);
    store(s, tile, quad + 3u * LINE, block, fourth);
}
