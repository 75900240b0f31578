// Changes the params between those for training and those for evaluation, and leaves the state alone: see
// tick/change_mode.wgsl. Twin: src/cpu/modes.rs.

fn apply(s: Scalars, tile: Tile, quad: u32) {
    if quad * LANES >= tile.end || s.do_step == 0u {
        return;
    }
    let place = place_of(tile, quad, s.t);
    begin_state(place);
    write_param(place, read_param(place) + s.newest_weight * load_m(place));
}

@compute @workgroup_size(WORKGROUP)
fn change_param(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = own_tile(workgroup, workgroups, index);
    let s = scalars(tile.clock);
    let quad = own_quad(tile, index);
    for (var i = 0u; i < OWN_QUADS; i++) {
        apply(s, tile, quad + i * LINE);
    }
}
