// The state tensor NAME as 8-bit codes. The scales of its blocks follow the codes in the same buffer. The codes of a
// quad share 32 bits.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<u32>;

fn load_NAME(place: Place) -> Quad {
    return decoded(CODE, unpacked_codes(NAME[place.state]), NAME[scale_at(place)]);
}

// --- stores ---

// Raises the block's new scale to the largest magnitude of the quad.
fn note_NAME(place: Place, block: u32, x: Quad) {
    atomicMax(&scales[STATE_TENSORS * block + ORDINAL], block_scale(x, place.mask));
}

fn encode_NAME(place: Place, block: u32, x: Quad) {
    let scale = atomicLoad(&scales[STATE_TENSORS * block + ORDINAL]);
    NAME[place.state] = packed_codes(encoded(CODE, x, scale, state_noise(place, STREAM), STATE_STOCHASTIC));
    // The first quad of a block stores its scale.
    if begins_block(place) {
        NAME[scale_at(place)] = scale;
    }
}
