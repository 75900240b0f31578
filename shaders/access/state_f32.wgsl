// The state tensor NAME as f32.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<vec4<f32>>;

fn load_NAME(place: Place) -> Quad {
    return NAME[place.state];
}

// --- stores ---

fn store_NAME(place: Place, x: Quad) {
    NAME[place.state] = x;
}
