// The state tensor NAME as bf16.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<vec2<u32>>;

fn load_NAME(place: Place) -> Quad {
    return from_bf16(halves_of(NAME[place.state]));
}

// --- stores ---

fn store_NAME(place: Place, x: Quad) {
    NAME[place.state] = pair_of(to_bf16(x, noise(place, STREAM), STATE_STOCHASTIC));
}
