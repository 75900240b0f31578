// NAME as 16-bit floats, loaded one by one. Stores write pairs: a quad of params begins at an even element, and so does
// a quad of gradients that is set to zero.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<u32>;

fn half_NAME(at: u32) -> u32 {
    return (NAME[at >> 1u] >> ((at & 1u) * 16u)) & 0xffffu;
}

fn bits_NAME(quad: u32) -> Bits {
    let at = INDEX;
    return Bits(half_NAME(at), half_NAME(at + 1u), half_NAME(at + 2u), half_NAME(at + 3u));
}

fn load_NAME(quad: u32) -> Quad {
    return from_DTYPE(bits_NAME(quad));
}

// --- stores ---

fn store_NAME(quad: u32, x: Bits, mask: Mask) {
    let at = (INDEX) >> 1u;
    let pair = pair_of(x);
    if mask.x || mask.y { NAME[at] = merged(NAME[at], pair.x, mask.x, mask.y); }
    if mask.z || mask.w { NAME[at + 1u] = merged(NAME[at + 1u], pair.y, mask.z, mask.w); }
}
