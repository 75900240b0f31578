// Measures the coming step between `tick` and `update`, with the loads and the rule of `update`. Each workgroup
// measures a part of one tensor. Twin: src/cpu/insight.rs.

@group(0) @binding(records_binding) var<storage, read_write> records: array<Record>;

// Quads per invocation.
const QUADS: u32 = 8u;

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
            mine = add(mine, measure(s, tile, index + k * WORKGROUP));
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
