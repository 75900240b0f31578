// The parameter is the upper half of an f32, and the remainder its lower half.

@group(0) @binding(remainder_binding) var<storage, ACCESS> remainder: array<vec2<u32>>;

fn read_param(place: Place) -> Quad {
    return joined(bits_param(place.quad), halves_of(remainder[place.state]));
}

// --- stores ---

fn write_param(place: Place, x: Quad) {
    let bits = plain_nan(x);
    remainder[place.state] = pair_of(bits & Bits(0xffffu));
    store_param(place.quad, (bits + Bits(0x8000u)) >> Bits(16u), place.mask);
}
