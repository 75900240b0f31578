// NAME as 32-bit integers, loaded and stored one by one.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<i32>;

fn load_NAME(quad: u32) -> Quad {
    let at = INDEX;
    return from_i32(vec4<i32>(NAME[at], NAME[at + 1u], NAME[at + 2u], NAME[at + 3u]));
}

// --- stores ---

fn store_NAME(quad: u32, x: Quad, mask: Mask) {
    let at = INDEX;
    if mask.x { NAME[at] = i32(x.x); }
    if mask.y { NAME[at + 1u] = i32(x.y); }
    if mask.z { NAME[at + 2u] = i32(x.z); }
    if mask.w { NAME[at + 3u] = i32(x.w); }
}
