// A workgroup's tile if the region is one span. `many_spans.wgsl` is for several.

fn tile(number: u32, quads: u32) -> Tile {
    let shift = region.state - region.quad;
    return Tile(region.quad + number * quads, region.begin, region.end, 0u, shift, region.stream_seed);
}
