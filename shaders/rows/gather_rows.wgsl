// Moves the state of rows: the new row k gets that of the old row source[k], or that of a row that has not been stepped.
// Twin: `gather` in src/cpu/gather.rs.

@group(0) @binding(move_binding) var<uniform> moved: Move;
@group(0) @binding(source_binding) var<storage, read> source: array<u32>;
@group(0) @binding(from_binding) var<storage, read> from_rows: array<UNIT>;
@group(0) @binding(to_binding) var<storage, read_write> to_rows: array<UNIT>;

@compute @workgroup_size(WORKGROUP)
fn gather_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let tile = workgroup.y * workgroups.x + workgroup.x;
    for (var slot = index; slot < SLOTS; slot += WORKGROUP) {
        let local = u32((f32(slot) + 0.5) * moved.inverse_units);
        let row = tile * moved.tile_rows + local;
        if local >= moved.tile_rows || row >= moved.rows {
            continue;
        }
        let unit = slot - local * moved.units;
        let to = moved.begin + row * moved.units + unit;
        let old = source[moved.source_at + moved.first + row];
        let taken = old - moved.from_first;
        if taken < moved.from_rows {
            to_rows[to] = from_rows[moved.begin + taken * moved.units + unit];
        } else if old >= moved.total && moved.fills != 0u {
            to_rows[to] = UNIT(moved.fill);
        }
    }
}
