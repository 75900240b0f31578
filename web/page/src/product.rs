//! The kernel of the matrix product, for small matrices.

/// Behind `matrix.wgsl`.
pub const WGSL: &str = include_str!("product.wgsl");

/// The workgroups for a product of so many rows and columns.
pub fn workgroups(rows: usize, columns: usize) -> [u32; 2] {
    [(rows * columns).div_ceil(64) as u32, 1]
}
