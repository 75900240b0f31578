// Steps each element if the state is in 8-bit blocks. A tile is a block. The new scale of a block is known only when
// all of its elements are. So a first pass computes, and a second pass stores the state. Twin: src/cpu/update.rs and
// src/cpu/storage.rs.
//
// A state has whole blocks, so that no quad of it is checked. Params and gradients may end before their tile.

fn is_owned(tile: Tile, quad: u32) -> bool {
    return quad * LANES < tile.end;
}

// Steps a quad, except for its state: returns it, and finds its sizes.
fn compute(s: Scalars, tile: Tile, quad: u32) -> Kept {
    let place = place_of(tile, quad, s.t);
    let param = read_param(place);
    let g = gradient(s, load_grad(quad), param);
    let next = moved(s, param, rule(s, place, g));
    if is_owned(tile, quad) {
        write_param(place, next);
        size_state(kept, Mask(!EDGES) | place.mask);
    }
    return kept;
}

fn clear_grad(s: Scalars, tile: Tile, quad: u32) {
    if is_owned(tile, quad) {
        zero_grad(s, place_of(tile, quad, 0u));
    }
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = own_tile(workgroup, workgroups, index);
    let s = scalars(tile.clock);
    clear_sizes(index);
    let block = index / SHARERS;
    let quad = own_quad(tile, index);
    let place = place_of(tile, quad, s.t);
    let steps = s.do_step != 0u && is_owned(tile, tile.quad);
    var first: Kept;
    var second: Kept;
    var third: Kept;
    var fourth: Kept;
    if steps {
        begin_state(place);
        first = compute(s, tile, quad);
        second = compute(s, tile, quad + LINE);
        third = compute(s, tile, quad + 2u * LINE);
        fourth = compute(s, tile, quad + 3u * LINE);
        note_sizes(block);
    }
    workgroupBarrier();
    if steps {
        settle_state(block);
        end_state(place);
        encode_state(place, first);
        encode_state(place_of(tile, quad + LINE, s.t), second);
        encode_state(place_of(tile, quad + 2u * LINE, s.t), third);
        encode_state(place_of(tile, quad + 3u * LINE, s.t), fourth);
    }
    clear_grad(s, tile, quad);
    clear_grad(s, tile, quad + LINE);
    clear_grad(s, tile, quad + 2u * LINE);
    clear_grad(s, tile, quad + 3u * LINE);
}
