// A workgroup's tile if the region has several spans: the host lists the tiles. `one_span.wgsl` is for one span.

@group(0) @binding(tiles_binding) var<storage, read> tiles: array<Tile>;

fn tile(number: u32, quads: u32) -> Tile {
    // The dispatch may be larger than the list. A workgroup beyond it owns nothing.
    if number >= region.tiles {
        return Tile(0u, 0u, 0u, 0u, 0u, 0u);
    }
    return tiles[number];
}
