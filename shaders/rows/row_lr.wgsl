// The factor of a row's learning rate.

@group(0) @binding(row_lr_binding) var<storage, read> row_lr: array<f32>;

fn rate_of(row: u32) -> f32 {
    return row_lr[rows.row_lr_at + rows.first + row];
}
