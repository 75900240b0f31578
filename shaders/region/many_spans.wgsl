// What a workgroup owns where the launch has several spans: it is listed. `one_span.wgsl` is for one.

@group(0) @binding(7) var<storage, read> pieces: array<Piece>;

fn piece(number: u32, words: u32, listed: u32) -> Piece {
    // The dispatch may be larger than the list: a workgroup too many owns nothing.
    if number >= listed {
        return Piece(0u, 0u, 0u, 0u, 0u);
    }
    return pieces[number];
}
