// Makes the state of the rows of a list that of rows that have not been stepped. Twin: `zero_rows` in src/cpu/gather.rs.

@group(0) @binding(move_binding) var<uniform> moved: Move;
@group(0) @binding(source_binding) var<storage, read> source: array<u32>;
@group(0) @binding(list_count_binding) var<storage, read> list_count: array<u32>;
@group(0) @binding(to_binding) var<storage, read_write> to_rows: array<UNIT>;

@compute @workgroup_size(WORKGROUP)
fn zero_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let unit = unit_of(workgroup, workgroups, index);
    let i = unit / moved.units;
    if i >= min(moved.rows, list_count[moved.count_at]) {
        return;
    }
    let row = source[moved.source_at + i] - moved.from_first;
    if row < moved.from_rows {
        to_rows[moved.to_begin + row * moved.units + unit % moved.units] = UNIT(moved.fill);
    }
}
