//! The layout of a matrix in a buffer, and the matrix product on the GPU.

use crate::{
    kernel::{Binding, Kernel},
    product,
};
use wgpu::{Buffer, Device};

/// A matrix in a buffer. Element (i, j) is element `first + i*row + j*column` of the buffer.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    buffer: &'a Buffer,
    rows: usize,
    columns: usize,
    first: usize,
    row: usize,
    column: usize,
    runs: usize,
    each: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix that starts at the beginning of the buffer, stored row by row.
    pub fn new(buffer: &'a Buffer, rows: usize, columns: usize) -> Self {
        Self { buffer, rows, columns, first: 0, row: columns, column: 1, runs: 1, each: 0 }
    }

    /// The same matrix, starting at element `first` of the buffer.
    pub fn at(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// The matrices of so many networks side by side, `each` elements apart.
    pub fn side_by_side(self, runs: usize, each: usize) -> Self {
        Self { runs, each, ..self }
    }

    /// Only the leading rows and columns.
    pub fn part(self, rows: usize, columns: usize) -> Self {
        Self { rows, columns, ..self }
    }

    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }
}

/// What is applied to a sum before it is written.
#[derive(Clone, Copy)]
pub enum Finish {
    Nothing = 0,
    Rectify = 1,
    /// C holds the output of the rectifier. Where it is 0, the derivative is 0 too.
    Derivative = 2,
    Softplus = 3,
    /// C holds the output of softplus.
    SoftplusDerivative = 4,
}

/// C = A B, for each of the networks side by side. If they share A, it is one product with the columns of them all.
pub fn matmul(device: &Device, label: &str, c: Matrix, a: Matrix, b: Matrix, finish: Finish) -> Kernel {
    assert_eq!((a.rows, a.columns, b.columns), (c.rows, b.rows, c.columns), "{label}: the shapes do not match");
    assert!(b.runs == c.runs && [1, c.runs].contains(&a.runs), "{label}: other networks");
    let (columns, layers) = if a.runs < c.runs { (c.runs * c.columns, 1) } else { (c.columns, c.runs) };
    let overrides = [
        ("m", c.rows),
        ("n", columns),
        ("block", c.columns),
        ("k", a.columns),
        ("a_first", a.first),
        ("a_row", a.row),
        ("a_column", a.column),
        ("a_each", a.each),
        ("b_first", b.first),
        ("b_row", b.row),
        ("b_column", b.column),
        ("b_each", b.each),
        ("c_first", c.first),
        ("c_row", c.row),
        ("c_column", c.column),
        ("c_each", c.each),
        ("finish", finish as usize),
    ];
    let [x, y] = product::workgroups(c.rows, columns);
    Kernel::new(
        device,
        label,
        &[include_str!("matrix.wgsl"), product::WGSL].concat(),
        &overrides.map(|(name, value)| (name, value as f64)),
        &[Binding::Read(a.buffer), Binding::Read(b.buffer), Binding::Write(c.buffer)],
        [x, y, layers as u32],
    )
}
