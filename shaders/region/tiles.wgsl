// How a workgroup of the update kernel shares its tiles: 16 invocations own a tile of 64 quads, 4 each. 8 neighbours load one
// line at a time, and their next lines follow it.

const OWN_QUADS: u32 = 4u;
const TILE_QUADS: u32 = 64u;
const SHARERS: u32 = TILE_QUADS / OWN_QUADS;
const TILES: u32 = WORKGROUP / SHARERS;

fn own_tile(workgroup: vec3<u32>, workgroups: vec3<u32>, index: u32) -> Tile {
    return tile(number(workgroup, workgroups) * TILES + index / SHARERS, TILE_QUADS);
}

// An invocation's first quad of its tile. Its others are LINE quads apart.
fn own_quad(tile: Tile, index: u32) -> u32 {
    let sharer = index % SHARERS;
    return tile.quad + sharer / LINE * (LINE * OWN_QUADS) + sharer % LINE;
}
