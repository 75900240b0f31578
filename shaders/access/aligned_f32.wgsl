// NAME as f32, loaded and stored four at a time.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<vec4<f32>>;

fn load_NAME(quad: u32) -> Quad {
    return NAME[INDEX];
}

// --- stores ---

fn store_NAME(quad: u32, x: Quad, mask: Mask) {
    let at = INDEX;
    if EDGES && !all(mask) {
        if mask.x { NAME[at].x = x.x; }
        if mask.y { NAME[at].y = x.y; }
        if mask.z { NAME[at].z = x.z; }
        if mask.w { NAME[at].w = x.w; }
        return;
    }
    NAME[at] = x;
}
