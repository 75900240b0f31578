// The parameter is a 16-bit float: it is rounded when it is written.

fn read_param(place: Place) -> Quad {
    return load_param(place.quad);
}

// --- stores ---

fn write_param(place: Place, x: Quad) {
    store_param(place.quad, to_DTYPE(x, noise(place, 0u), PARAM_STOCHASTIC), place.mask);
}
