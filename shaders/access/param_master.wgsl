// The parameter is a 16-bit float with an f32 master copy. If the caller has written another value into the parameter,
// the master starts again from that value.

@group(0) @binding(master_binding) var<storage, ACCESS> master: array<vec4<f32>>;

fn read_param(place: Place) -> Quad {
    let exact = master[place.state];
    let unchanged = to_DTYPE(exact, Bits(0u), false) == bits_param(place.quad);
    return select(load_param(place.quad), exact, unchanged);
}

// --- stores ---

fn write_param(place: Place, x: Quad) {
    master[place.state] = x;
    store_param(place.quad, to_DTYPE(x, Bits(0u), false), place.mask);
}
