// How a workgroup of an update kernel shares out its pieces: 16 invocations own a piece of 64 words, 4 each. What 8 of them
// load at once is one line, and their next lines follow it.

const OWN_WORDS: u32 = 4u;
const PIECE_WORDS: u32 = 64u;
const SHARERS: u32 = PIECE_WORDS / OWN_WORDS;
const PIECES: u32 = WORKGROUP / SHARERS;

fn own_piece(workgroup: vec3<u32>, workgroups: vec3<u32>, index: u32) -> Piece {
    return piece(number(workgroup, workgroups) * PIECES + index / SHARERS, PIECE_WORDS, launch.pieces);
}

// An invocation's first word of its piece. The others are LINE words apart.
fn own_word(own: Piece, index: u32) -> u32 {
    let sharer = index % SHARERS;
    return own.word + sharer / LINE * (LINE * OWN_WORDS) + sharer % LINE;
}
