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
    let run = run_of(index);
    let row = tile * moved.tile_rows + run.x;
    if run.x >= moved.tile_rows || row >= moved.rows {
        return;
    }
    let old = source[moved.source_at + moved.first + row];
    let taken = old - moved.from_first;
    let old_row = moved.from_begin + taken * moved.units;
    let new_row = moved.to_begin + row * moved.units;
    if taken < moved.from_rows {
        for (var unit = run.y; unit < min(run.y + RUN, moved.units); unit++) {
            to_rows[new_row + unit] = from_rows[old_row + unit];
        }
    } else if old >= moved.total && moved.fills != 0u {
        for (var unit = run.y; unit < min(run.y + RUN, moved.units); unit++) {
            to_rows[new_row + unit] = UNIT(moved.fill);
        }
    }
}
