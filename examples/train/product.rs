//! The kernel of the matrix product: in tiles, for large matrices.

/// Behind `matrix.wgsl`.
pub const WGSL: &str = include_str!("matmul.wgsl");

/// The workgroups for a product of so many rows and columns.
pub fn workgroups(rows: usize, columns: usize) -> [u32; 2] {
    [columns.div_ceil(64) as u32, rows.div_ceil(64) as u32]
}
