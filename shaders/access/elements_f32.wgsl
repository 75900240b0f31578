// The state tensor NAME as f32, loaded and stored one by one: the last quad of a row is partial.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<f32>;

fn load_NAME(place: Place) -> Quad {
    let at = place.state;
    return Quad(NAME[at], NAME[at + 1u], NAME[at + 2u], NAME[at + 3u]);
}

// --- stores ---

fn store_NAME(place: Place, x: Quad) {
    let at = place.state;
    if place.mask.x { NAME[at] = x.x; }
    if place.mask.y { NAME[at + 1u] = x.y; }
    if place.mask.z { NAME[at + 2u] = x.z; }
    if place.mask.w { NAME[at + 3u] = x.w; }
}
