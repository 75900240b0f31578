// NAME as f32, loaded and stored one by one.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<f32>;

fn load_NAME(quad: u32) -> Quad {
    let at = INDEX;
    return Quad(NAME[at], NAME[at + 1u], NAME[at + 2u], NAME[at + 3u]);
}

// --- stores ---

fn store_NAME(quad: u32, x: Quad, mask: Mask) {
    let at = INDEX;
    if mask.x { NAME[at] = x.x; }
    if mask.y { NAME[at + 1u] = x.y; }
    if mask.z { NAME[at + 2u] = x.z; }
    if mask.w { NAME[at + 3u] = x.w; }
}
