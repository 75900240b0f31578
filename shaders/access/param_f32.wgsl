// The parameter is f32.

fn read_param(place: Place) -> Quad {
    return load_param(place.quad);
}

// --- stores ---

fn write_param(place: Place, x: Quad) {
    store_param(place.quad, x, place.mask);
}
