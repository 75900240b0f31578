// Where a slot is in the params and in the state.

@group(0) @binding(tables_binding) var<uniform> tables: RowTables;

// The slot whose rule is being applied.
var<private> own: Slot;

fn place_of_slot(slot: Slot, t: u32) -> Place {
    let state = slot.row * rows.state_stride + slot.k * STATE_STEP;
    // The noise counts the elements of the tensor.
    let element = (rows.first + slot.row) * rows.width + slot.k * LANES;
    let stream_seed = region.stream_seed + element - state * LANES;
    return Place(region.quad + slot.row * rows.stride + slot.k * PARAM_STEP, state, mask_of(slot), t, stream_seed);
}
