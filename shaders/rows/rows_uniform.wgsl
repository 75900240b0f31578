// What the host says about a region of rows. Twin: src/gpu/rows.rs.

// `RowsUniform` in src/gpu/rows.rs.
struct Rows {
    first: u32,         // the tensor's row that is the region's row 0
    count: u32,         // the rows of the region
    width: u32,         // the elements of a row
    quads: u32,         // the quads of a row
    inverse_quads: f32, // 1 / quads
    update_rows: u32,   // the rows of a tile of the update
    norm_rows: u32,     // the rows of a tile of the norm
    insight_rows: u32,  // the rows of a tile of the probe
    blocks: u32,        // the 8-bit blocks of a row
    stride: u32,        // from a row to the next in params and gradients: quads, or elements if the region is unaligned
    state_stride: u32,  // from a row to the next in the state: quads, or elements if the state is addressed by elements
    grad: u32,          // the place of the gradients' row 0 in their window, in the units of `stride`
    grad_rows: u32,     // the rows of the gradients, if they are compact
    row_lr_at: u32,     // the first element of this view in its window, and of the following ones
    active_at: u32,
    count_at: u32,
    inverse_at: u32,
    list_len: u32,      // the length of the list
    most_workgroups: u32, // in one dimension of a dispatch
    joined: u32,        // the quads of all rows, if rows are joined
    joined_grad: u32,   // the first quad of their gradients in its window
    joined_quads: u32,  // the quads of a joined row
    inverse_joined: f32, // 1 / joined_quads
    mean: f32,          // multiplies the sum of the squares of a row
    corrected: u32,     // 1 for bias correction by a row's own steps
    eps_root: f32,      // before that correction
    eps_in_v: u32,      // 1 if eps_root is not corrected
}

// `tables` in src/gpu/rows.rs.
struct RowTables {
    columns: array<vec4<f32>, 256>, // the factors of the columns
    beta1: array<vec4<u32>, 16>,    // beta1^(2^i), two to a vector
    beta2: array<vec4<u32>, 16>,
}

@group(0) @binding(rows_binding) var<uniform> rows: Rows;
