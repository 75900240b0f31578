// A region of whole rows. A row has its own quads, the last of which may be partial, so that no quad has elements of two
// rows. A tile is some rows. Its slots are their quads, row by row. Twin: src/plan/rows.rs, and src/gpu/rows.rs.

const NO_ROW: u32 = 0xffffffffu;

// A quad of a row.
struct Slot {
    local: u32,         // the number of its row in the tile
    row: u32,           // the number of its row in the region, or NO_ROW if there is nothing to do
    k: u32,             // its number in the row
    grad: u32,          // its place in the window of gradients
}

// A row of the region that is active, or NO_ROW. `row` may be NO_ROW.
fn with_gradient(row: u32) -> u32 {
    return select(NO_ROW, row, row < rows.count && grad_row(row) < rows.grad_rows);
}

// The slot of a tile with that number.
fn slot_of(tile: u32, tile_rows: u32, number: u32) -> Slot {
    let local = u32((f32(number) + 0.5) * rows.inverse_quads);
    let k = number - local * rows.quads;
    if local >= tile_rows {
        return Slot(local, NO_ROW, k, 0u);
    }
    let row = with_gradient(row_of(tile * tile_rows + local));
    return Slot(local, row, k, rows.grad + grad_row(row) * rows.stride + k * PARAM_STEP);
}

fn mask_of(slot: Slot) -> Mask {
    return Mask(!PARTIAL) | (elements(slot.k) < Bits(rows.width));
}
