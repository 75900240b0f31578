// Where the scales of 8-bit blocks are, if each row has its own blocks.

fn scale_at(place: Place) -> u32 {
    return region.first_scale + own.row * rows.blocks + own.k / BLOCK_QUADS;
}

fn begins_block(place: Place) -> bool {
    return own.k % BLOCK_QUADS == 0u;
}
