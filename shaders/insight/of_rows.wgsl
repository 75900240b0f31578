// What `insight` measures of a tile of rows: slot `number` of the tile, whose number is in place of a quad. What the quads of
// a row share is computed for each of them, since a probe is rare.

fn measure(s: Scalars, tile: Tile, number: u32) -> Measured {
    let slot = slot_of(tile.quad, rows.insight_rows, number);
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
