// The state tensor NAME as 8-bit codes. The scales of its blocks follow the codes in the same buffer. The codes of a
// quad share 32 bits.

@group(0) @binding(NAME_binding) var<storage, ACCESS> NAME: array<u32>;

// The scale of the block: the old one for loads, and then the new one for stores.
var<private> NAME_scale: u32;

fn begin_NAME(place: Place) {
    NAME_scale = NAME[scale_at(place)];
}

fn load_NAME(place: Place) -> Quad {
    return decoded(CODE, NAME[place.state], NAME_scale);
}

// --- stores ---

fn size_NAME(x: Quad, mask: Mask) {
    found[ORDINAL] = max(found[ORDINAL], block_size(x, mask));
}

fn settle_NAME(block: u32) {
    NAME_scale = block_scale(CODE, atomicLoad(&sizes[STATE_TENSORS * block + ORDINAL]));
}

// The first quad of a block stores its scale.
fn end_NAME(place: Place) {
    if begins_block(place) {
        NAME[scale_at(place)] = NAME_scale;
    }
}

fn encode_NAME(place: Place, x: Quad) {
    let own_noise = select(Bits(0x8000u), noise(place, STREAM), STATE_STOCHASTIC);
    NAME[place.state] = encoded(CODE, x, NAME_scale, own_noise);
}
