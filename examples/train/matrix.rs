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
}

impl<'a> Matrix<'a> {
    /// A matrix that starts at the beginning of the buffer, stored row by row.
    pub fn new(buffer: &'a Buffer, rows: usize, columns: usize) -> Self {
        Self { buffer, rows, columns, first: 0, row: columns, column: 1 }
    }

    /// The same matrix, starting at element `first` of the buffer.
    pub fn at(self, first: usize) -> Self {
        Self { first, ..self }
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
}

/// C = A B.
pub fn matmul(device: &Device, label: &str, c: Matrix, a: Matrix, b: Matrix, finish: Finish) -> Kernel {
    assert_eq!((a.rows, a.columns, b.columns), (c.rows, b.rows, c.columns), "{label}: the shapes do not match");
    let overrides = [
        ("m", c.rows),
        ("n", c.columns),
        ("k", a.columns),
        ("a_first", a.first),
        ("a_row", a.row),
        ("a_column", a.column),
        ("b_first", b.first),
        ("b_row", b.row),
        ("b_column", b.column),
        ("c_first", c.first),
        ("c_row", c.row),
        ("c_column", c.column),
        ("finish", finish as usize),
    ];
    Kernel::new(
        device,
        label,
        &[include_str!("matrix.wgsl"), product::WGSL].concat(),
        &overrides.map(|(name, value)| (name, value as f64)),
        &[Binding::Read(a.buffer), Binding::Read(b.buffer), Binding::Write(c.buffer)],
        product::workgroups(c.rows, c.columns),
    )
}
