// NAME as 16-bit floats, loaded and stored one by one. Two rows may share 32 bits, which two invocations then write: each
// flips only the bits of its own half that differ.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<atomic<u32>>;

fn half_NAME(at: u32) -> u32 {
    return (atomicLoad(&NAME[at >> 1u]) >> ((at & 1u) * 16u)) & 0xffffu;
}

fn bits_NAME(quad: u32) -> Bits {
    let at = INDEX;
    return Bits(half_NAME(at), half_NAME(at + 1u), half_NAME(at + 2u), half_NAME(at + 3u));
}

fn load_NAME(quad: u32) -> Quad {
    return from_DTYPE(bits_NAME(quad));
}

// --- stores ---

fn put_NAME(at: u32, before: u32, after: u32) {
    atomicXor(&NAME[at >> 1u], (before ^ after) << ((at & 1u) * 16u));
}

fn store_NAME(quad: u32, x: Bits, mask: Mask) {
    let at = INDEX;
    let old = bits_NAME(quad);
    if mask.x { put_NAME(at, old.x, x.x); }
    if mask.y { put_NAME(at + 1u, old.y, x.y); }
    if mask.z { put_NAME(at + 2u, old.z, x.z); }
    if mask.w { put_NAME(at + 3u, old.w, x.w); }
}
