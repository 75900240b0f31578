// Where the scales of 8-bit blocks are, if blocks are counted from the beginning of a tensor.

fn scale_at(place: Place) -> u32 {
    return region.first_scale + place.state / BLOCK_QUADS;
}

fn begins_block(place: Place) -> bool {
    return place.state % BLOCK_QUADS == 0u;
}
