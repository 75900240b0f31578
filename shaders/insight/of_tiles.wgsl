// What `insight` measures of a tile if its elements are stepped one by one: quad `number` of the tile.

fn measure(s: Scalars, tile: Tile, number: u32) -> Measured {
    let quad = tile.quad + number;
    if quad * LANES >= tile.end {
        return NOTHING;
    }
    let place = place_of(tile, quad, s.t);
    let grad = load_grad(quad);
    let param = read_param(place);
    return measured(s, place, grad, param, gradient(s, grad, param), Quad(1.0));
}
