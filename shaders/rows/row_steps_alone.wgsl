// The steps of a row, for a kernel that stores nothing. As in row_steps.wgsl.

@group(0) @binding(row_steps_binding) var<storage, read> row_steps: array<u32>;

fn scalars_of_row(s: Scalars) -> Scalars {
    if rows.corrected == 0u {
        return s;
    }
    let before = row_steps[own.row];
    return with_coefs(s, coefs_at(s, select(before + 1u, before, before == 0xffffffffu)));
}
