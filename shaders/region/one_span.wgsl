// What a workgroup owns where the launch is one span. `many_spans.wgsl` is for several.

fn piece(number: u32, words: u32, listed: u32) -> Piece {
    return Piece(launch.word + number * words, launch.begin, launch.end, 0u, launch.state - launch.word);
}
