// Steps whole rows, none of whose quads needs to know another. Twin: src/cpu/rows.rs.

fn apply(s: Scalars, tile: u32, index: u32) {
    own = slot_of(tile, rows.update_rows, index);
    if own.row == NO_ROW {
        return;
    }
    let place = place_of_slot(own, s.t);
    if s.do_step != 0u {
        let param = read_param(place);
        let step = rule(s, place, gradient(s, load_grad(own.grad), param));
        let rate = tables.columns[own.k] * rate_of(own.row);
        write_param(place, limited(s, param - rate * (decay_of(s, param, step) + step)));
    }
    var grads = place;
    grads.quad = own.grad;
    zero_grad(s, grads);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    apply(scalars(0u), number(workgroup, workgroups), index);
}
