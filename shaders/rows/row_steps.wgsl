// Each row counts its own steps, which correct the bias of its moments. Twin: src/cpu/rows.rs.

@group(0) @binding(row_steps_binding) var<storage, read_write> row_steps: array<u32>;

var<workgroup> row_coefs: array<vec4<f32>, SLOTS>;

fn settle_steps(s: Scalars, local: u32, row: u32) {
    let before = row_steps[row];
    let t = select(before + 1u, before, before == 0xffffffffu);
    row_steps[row] = t;
    if rows.corrected != 0u {
        row_coefs[local] = coefs_at(s, t);
    }
}

fn scalars_of_row(s: Scalars) -> Scalars {
    if rows.corrected == 0u {
        return s;
    }
    return with_coefs(s, row_coefs[own.local]);
}
