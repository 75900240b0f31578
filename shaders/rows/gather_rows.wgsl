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
    let unit = unit_of(workgroup, workgroups, index);
    let row = unit / moved.units;
    if row >= moved.rows {
        return;
    }
    let old = source[moved.source_at + moved.first + row];
    let taken = old - moved.from_first;
    let to = moved.to_begin + unit;
    if taken < moved.from_rows {
        to_rows[to] = from_rows[moved.from_begin + taken * moved.units + unit % moved.units];
    } else if old >= moved.total && moved.fills != 0u {
        to_rows[to] = UNIT(moved.fill);
    }
}
