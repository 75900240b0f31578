// NAME as 16-bit floats, loaded and stored four at a time.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<vec2<u32>>;

fn bits_NAME(quad: u32) -> Bits {
    return halves_of(NAME[INDEX]);
}

fn load_NAME(quad: u32) -> Quad {
    return from_DTYPE(bits_NAME(quad));
}

// --- stores ---

fn store_NAME(quad: u32, x: Bits, mask: Mask) {
    let at = INDEX;
    let pair = pair_of(x);
    if EDGES && !all(mask) {
        if mask.x || mask.y { NAME[at].x = merged(NAME[at].x, pair.x, mask.x, mask.y); }
        if mask.z || mask.w { NAME[at].y = merged(NAME[at].y, pair.y, mask.z, mask.w); }
        return;
    }
    NAME[at] = pair;
}
