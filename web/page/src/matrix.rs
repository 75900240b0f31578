//! The layout of a matrix in a buffer, and the product of small matrices (`product.wgsl`). The interface is that of
//! `examples/train/matrix.rs`, whose products are made for larger ones.

use crate::kernel::{Binding, Kernel};
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
    let shapes = [("m", c.rows), ("n", c.columns), ("k", a.columns), ("finish", finish as usize)];
    let [a_at, b_at, c_at] = [("a", a), ("b", b), ("c", c)].map(|(name, Matrix { first, row, column, .. })| {
        [("first", first), ("row", row), ("column", column)].map(|(part, value)| (format!("{name}_{part}"), value))
    });
    let places = a_at.iter().chain(&b_at).chain(&c_at).map(|(name, value)| (name.as_str(), *value));
    let overrides: Vec<(&str, f64)> =
        shapes.into_iter().chain(places).map(|(name, value)| (name, value as f64)).collect();
    let bindings = [Binding::Read(a.buffer), Binding::Read(b.buffer), Binding::Write(c.buffer)];
    let workgroups = [(c.rows * c.columns).div_ceil(64) as u32, 1, 1];
    Kernel::new(device, label, include_str!("product.wgsl"), &overrides, &bindings, workgroups)
}
