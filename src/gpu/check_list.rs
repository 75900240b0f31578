//! The check of a list of rows, for debugging.

use std::collections::HashSet;

use wgpu::BufferUsages;

use crate::config::rows::Active;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::readback::{Source, read};
use crate::plan::clocks::numbers_of;

impl Adam {
    /// Checks the list of a tensor of rows, which a step does not: no row may be in it twice. If one is, two invocations
    /// write it. Reads the list back, so this is for debugging.
    ///
    /// # Errors
    /// Returns [`Error::Rows`] if a row is in the list twice or a number in it is of no row, or if the tensor has no list;
    /// [`Error::MissingUsage`] if the list or its count cannot be copied; [`Error::NoSuchTensor`]; and the errors of
    /// [`read_report`](Self::read_report).
    pub async fn check_list(&self, name: &str) -> Result<(), Error> {
        let wrong = |reason| Err(Error::Rows { tensor: name.to_owned(), reason });
        let number = numbers_of(&self.layout.names, &[name])?[0];
        let tensor = self.registry.groups.iter().flat_map(|group| &group.tensors).nth(number);
        let Some(rows) = tensor.and_then(|tensor| Some((tensor, tensor.rows.as_ref()?))) else {
            return wrong("it is no tensor of rows".to_owned());
        };
        let (tensor, Active::List { indices, count }) = (rows.0, &rows.1.active) else {
            return wrong("its rows are not listed".to_owned());
        };
        for (view, of) in [("list", indices), ("count", count)] {
            let (given, missing) = (of.buffer.usage(), BufferUsages::COPY_SRC - of.buffer.usage());
            if !missing.is_empty() {
                return Err(Error::MissingUsage { tensor: name.to_owned(), view, given, missing });
            }
        }
        let sources = [(count, 1), (indices, indices.len)].map(|(view, len)| Source {
            buffer: &view.buffer,
            offset: view.offset,
            bytes: 4 * len,
        });
        let bytes = read(&self.device, &self.queue, "the list", &sources).await?;
        let numbers: Vec<u32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        let total = tensor.param.len / u64::from(rows.1.width);
        let mut seen = HashSet::new();
        for row in numbers[1..].iter().take(numbers[0] as usize) {
            if u64::from(*row) >= total {
                return wrong(format!("its list has row {row}, but there are {total} rows"));
            }
            if !seen.insert(row) {
                return wrong(format!("its list has row {row} twice"));
            }
        }
        Ok(())
    }
}
