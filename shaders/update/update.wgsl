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
