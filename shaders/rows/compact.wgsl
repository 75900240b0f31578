// The gradients are of some rows only: `inverse` says where that of a row is.

@group(0) @binding(inverse_binding) var<storage, read> inverse: array<u32>;

fn grad_row(row: u32) -> u32 {
    return inverse[rows.inverse_at + rows.first + row];
}
