// NAME as 32-bit integers, loaded and stored four at a time.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<vec4<i32>>;

fn load_NAME(quad: u32) -> Quad {
    return from_i32(NAME[INDEX]);
}

// --- stores ---

fn store_NAME(quad: u32, x: Quad, mask: Mask) {
    let at = INDEX;
    if EDGES && !all(mask) {
        if mask.x { NAME[at].x = i32(x.x); }
        if mask.y { NAME[at].y = i32(x.y); }
        if mask.z { NAME[at].z = i32(x.z); }
        if mask.w { NAME[at].w = i32(x.w); }
        return;
    }
    NAME[at] = vec4<i32>(x);
}
