// Sums what the factor of each tensor's step is made of, between `tick` and `update`, with the loads and the rule of `update`.
// Each workgroup sums a part of one tensor. Twin: src/cpu/rescale.rs.

@group(0) @binding(tiles_binding) var<storage, read> tiles: array<Tile>;

// Quads per invocation.
const QUADS: u32 = 8u;

fn terms_of(s: Scalars, tile: Tile, quad: u32) -> Measured {
    if quad * LANES >= tile.end {
        return NOTHING;
    }
    let place = place_of(tile, quad, s.t);
    let param = read_param(place);
    begin_state(place);
    let g = gradient(s, load_grad(quad), param);
    return terms(s, param, g, rule(s, place, g), place.mask);
}

@compute @workgroup_size(WORKGROUP)
fn rescale(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    var mine = NOTHING;
    if at < region.tiles {
        let tile = tiles[region.partial + at];
        let s = scalars(tile.clock);
        if s.do_step != 0u {
            for (var k = 0u; k < QUADS; k++) {
                mine = add(mine, terms_of(s, tile, tile.quad + index + k * WORKGROUP));
            }
        }
    }
    reduce(index, mine);
    if at < region.tiles && index == 0u {
        sums[region.partial + at] = tree[0];
    }
}
