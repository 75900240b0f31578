// What a workgroup owns where the region has several spans: it is listed. `one_span.wgsl` is for one.

@group(0) @binding(7) var<storage, read> tiles: array<Tile>;

fn tile(number: u32, quads: u32, listed: u32) -> Tile {
    // The dispatch may be larger than the list: a workgroup too many owns nothing.
    if number >= listed {
        return Tile(0u, 0u, 0u, 0u, 0u);
    }
    return tiles[number];
}
