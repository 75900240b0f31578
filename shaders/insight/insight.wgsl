// Measures the coming step between `tick` and `update`, with the loads and the rule of `update`. Each workgroup
// measures a part of one tensor. Twin: src/cpu/insight.rs.

@group(0) @binding(records_binding) var<storage, read_write> records: array<Record>;

// Quads per invocation.
const QUADS: u32 = 8u;

fn measure(s: Scalars, tile: Tile, quad: u32) -> Measured {
    let place = place_of(tile, quad, s.t);
    let grad = load_grad(quad);
    let param = read_param(place);
    return measured(s, place, grad, param, gradient(s, grad, param), Quad(1.0));
}

@compute @workgroup_size(WORKGROUP)
fn insight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let record = region.partial + at;
    empty_bins(index);
    var mine = NOTHING;
    if at < region.tiles {
        let tile = records[record].tile;
        let s = scalars(tile.clock);
        for (var k = 0u; k < QUADS; k++) {
            let quad = tile.quad + index + k * WORKGROUP;
            if quad * LANES < tile.end {
                mine = add(mine, measure(s, tile, quad));
            }
        }
    }
    reduce(index, mine);
    if at < region.tiles {
        if index < BINS {
            records[record].bins[index] = atomicLoad(&bins[index]);
        }
        if index == 0u {
            records[record].measured = tree[0];
        }
    }
}
