// Steps whole rows. What the quads of a row share is known only when all of them have been loaded, and the scale of an
// 8-bit block only when all of it has been computed. So there are three passes. Twin: src/cpu/rows.rs.

@group(0) @binding(tables_binding) var<uniform> tables: RowTables;

// The slots of a tile: an invocation has four of them.
const SLOTS: u32 = 256u;
const OWN_SLOTS: u32 = 4u;

// The slot whose rule is being applied.
var<private> own: Slot;

// A quad between the passes.
struct Pending {
    slot: Slot,
    place: Place,
    param: Quad,
    g: Quad,
    state: Kept,
}

fn place_of_slot(slot: Slot, t: u32) -> Place {
    let state = slot.row * rows.state_stride + slot.k * STATE_STEP;
    // The noise counts the elements of the tensor.
    let element = (rows.first + slot.row) * rows.width + slot.k * LANES;
    let stream_seed = region.stream_seed + element - state * LANES;
    return Place(region.quad + slot.row * rows.stride + slot.k * PARAM_STEP, state, mask_of(slot), t, stream_seed);
}

fn block_of(slot: Slot) -> u32 {
    return slot.local * rows.blocks + slot.k / BLOCK_QUADS;
}

fn loaded(s: Scalars, tile: u32, number: u32) -> Pending {
    var pending: Pending;
    pending.slot = slot_of(tile, rows.update_rows, number);
    if pending.slot.row == NO_ROW {
        return pending;
    }
    pending.place = place_of_slot(pending.slot, s.t);
    if s.do_step != 0u {
        pending.param = read_param(pending.place);
        let g = gradient(s, load_grad(pending.slot.grad), pending.param);
        pending.g = select(Quad(0.0), g, pending.place.mask);
        note_squares(number, pending.g);
    }
    return pending;
}

fn stepped(s: Scalars, pending: Pending) -> Pending {
    var next = pending;
    if pending.slot.row != NO_ROW && s.do_step != 0u {
        own = pending.slot;
        let step = rule(scalars_of_row(s), pending.place, pending.g);
        let rate = tables.columns[own.k] * rate_of(own.row);
        next.param = limited(s, pending.param - rate * (decay_of(s, pending.param, step) + step));
        next.state = kept;
        note_state(pending.place, block_of(own), kept);
    }
    return next;
}

fn store(s: Scalars, pending: Pending) {
    if pending.slot.row == NO_ROW {
        return;
    }
    if s.do_step != 0u {
        own = pending.slot;
        encode_state(pending.place, block_of(own), pending.state);
        write_param(pending.place, pending.param);
    }
    var grads = pending.place;
    grads.quad = pending.slot.grad;
    zero_grad(grads);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = number(workgroup, workgroups);
    let s = scalars(0u);
    clear_scales(index);
    // As in tiles.wgsl: 8 neighbours load one line at a time, and their next lines follow it.
    let at = index / LINE * (LINE * OWN_SLOTS) + index % LINE;
    var first = loaded(s, tile, at);
    var second = loaded(s, tile, at + LINE);
    var third = loaded(s, tile, at + 2u * LINE);
    var fourth = loaded(s, tile, at + 3u * LINE);
    if ROWS_SETTLE {
        workgroupBarrier();
        for (var local = index; local < rows.update_rows; local += WORKGROUP) {
            let row = with_gradient(row_of(tile * rows.update_rows + local));
            if row != NO_ROW && s.do_step != 0u {
                settle_moments(local, row);
                settle_steps(s, local, row);
            }
        }
        workgroupBarrier();
    }
    first = stepped(s, first);
    second = stepped(s, second);
    third = stepped(s, third);
    fourth = stepped(s, fourth);
    if IN_BLOCKS {
        workgroupBarrier();
    }
    store(s, first);
    store(s, second);
    store(s, third);
    store(s, fourth);
}
