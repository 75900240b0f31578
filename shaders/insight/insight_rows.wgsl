// Measures the coming step of active rows. A record is of one tile, and `quad` of its tile is the number of the tile. What
// the quads of a row share is computed for each of them: a probe is rare. Twin: src/cpu/insight.rs.

@group(0) @binding(records_binding) var<storage, read_write> records: array<Record>;

// Slots per invocation.
const QUADS: u32 = 8u;

fn measure(s: Scalars, slot: Slot) -> Measured {
    if slot.row == NO_ROW {
        return NOTHING;
    }
    own = slot;
    let place = place_of_slot(slot, s.t);
    let grad = load_grad(slot.grad);
    let param = read_param(place);
    let g = select(Quad(0.0), gradient(s, grad, param), place.mask);
    settle_moments_alone(s);
    return measured(scalars_of_row(s), place, grad, param, g, tables.columns[slot.k] * rate_of(slot.row));
}

@compute @workgroup_size(WORKGROUP)
fn insight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let record = region.partial + at;
    empty_bins(index);
    var mine = NOTHING;
    if at < region.tiles {
        let tile = records[record].tile;
        let s = scalars(tile.clock);
        for (var k = 0u; k < QUADS; k++) {
            mine = add(mine, measure(s, slot_of(tile.quad, rows.insight_rows, index + k * WORKGROUP)));
        }
    }
    reduce(index, mine);
    if at < region.tiles {
        if index < BINS {
            records[record].bins[index] = atomicLoad(&bins[index]);
        }
        if index == 0u {
            records[record].measured = tree[0];
        }
    }
}
