// Steps whole rows whose quads share something: a second moment, a step count, or the scale of an 8-bit block. It is known
// only when all quads of the row have been loaded, or computed. Twin: src/cpu/rows.rs.

fn block_of(slot: Slot) -> u32 {
    return slot.local * rows.blocks + slot.k / BLOCK_QUADS;
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = number(workgroup, workgroups);
    let s = scalars(0u);
    clear_sizes(index);
    own = slot_of(tile, rows.update_rows, index);
    let steps = own.row != NO_ROW && s.do_step != 0u;
    let place = place_of_slot(own, s.t);
    var param: Quad;
    var g: Quad;
    if steps {
        param = read_param(place);
        g = select(Quad(0.0), gradient(s, load_grad(own.grad), param), place.mask);
        note_squares(index, g);
    }
    if ROWS_SETTLE {
        workgroupBarrier();
        // Neighbours settle one row each: that is faster than the first quad of each row.
        if index < rows.update_rows {
            let row = with_gradient(row_of(tile * rows.update_rows + index));
            if row != NO_ROW && s.do_step != 0u {
                settle_moments(index, row);
                settle_steps(s, index, row);
            }
        }
        workgroupBarrier();
    }
    if steps {
        begin_state(place);
        let step = rule(scalars_of_row(s), place, g);
        let rate = tables.columns[own.k] * rate_of(own.row);
        param = limited(s, param - rate * (decay_of(s, param, step) + step));
        size_state(kept, place.mask);
        note_sizes(block_of(own));
    }
    if IN_BLOCKS {
        workgroupBarrier();
    }
    if steps {
        settle_state(block_of(own));
        end_state(place);
        encode_state(place, kept);
        write_param(place, param);
    }
    if own.row != NO_ROW {
        var grads = place;
        grads.quad = own.grad;
        zero_grad(s, grads);
    }
}
