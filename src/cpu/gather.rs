//! Moves the state of rows. Counterpart of `src/gpu/gather.rs`.

use crate::config::precision::StateDtype;
use crate::config::rule::StateKind;
use crate::cpu::adam::Adam;
use crate::error::Error;
use crate::num::half::nearest_bf16;
use crate::plan::clocks::numbers_of;

/// # Moving rows
impl Adam {
    /// Moves the state of rows: see [`crate::Adam::gather`].
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and [`Error::Rows`] if it is no tensor of rows, or if `source` has another number
    /// of elements. Nothing has changed then.
    pub fn gather(&mut self, name: &str, source: &[u32]) -> Result<(), Error> {
        let (tensor, count) = self.rows_of(name)?;
        let wrong = |reason| Err(Error::Rows { tensor: name.to_owned(), reason });
        if source.len() != count {
            return wrong(format!("source has {} elements, but there are {count} rows", source.len()));
        }
        self.change_rows(tensor, count, |old, row_len, fill| {
            source
                .iter()
                .flat_map(|&row| match row as usize {
                    row if row < count => old[row * row_len..(row + 1) * row_len].to_vec(),
                    _ => vec![fill; row_len],
                })
                .collect()
        });
        Ok(())
    }

    /// Makes the state of rows that of rows that have not been stepped: see [`crate::Adam::zero_rows`].
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and [`Error::Rows`] if it is no tensor of rows. Nothing has changed then.
    pub fn zero_rows(&mut self, name: &str, indices: &[u32]) -> Result<(), Error> {
        let (tensor, count) = self.rows_of(name)?;
        self.change_rows(tensor, count, |old, row_len, fill| {
            let mut next = old.to_vec();
            for row in indices.iter().map(|row| *row as usize).filter(|row| *row < count) {
                next[row * row_len..(row + 1) * row_len].fill(fill);
            }
            next
        });
        Ok(())
    }

    /// The number of a tensor of rows, and how many rows it has.
    fn rows_of(&self, name: &str) -> Result<(usize, usize), Error> {
        let tensor = numbers_of(&self.names, &[name])?[0];
        match &self.rows[tensor] {
            Some(rows) => Ok((tensor, self.lens[tensor] / rows.width as usize)),
            None => Err(Error::Rows { tensor: name.to_owned(), reason: "it is no tensor of rows".to_owned() }),
        }
    }

    /// Replaces each state tensor. `change` gets the old one, the elements of a row, and an element of a row that has not
    /// been stepped.
    fn change_rows(&mut self, tensor: usize, count: usize, change: impl Fn(&[f32], usize, f32) -> Vec<f32>) {
        let storage = self.storages[tensor];
        let initial = self.groups[self.of.groups[self.of.of_tensor[tensor]]].config.variant.initial();
        for kind in storage.state_kinds() {
            let is_bf16 = storage.state == StateDtype::Bf16 && !storage.is_per_row(kind);
            let fill = match kind {
                StateKind::V if is_bf16 => nearest_bf16(initial),
                StateKind::V => initial,
                _ => 0.0,
            };
            let values = self.moments[tensor].of_mut(kind);
            *values = change(values, values.len() / count, fill);
        }
    }
}
