//! The division of an order of rows into minibatches.

/// One minibatch: `rows` entries of the order, starting at `first`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Batch {
    pub first: u32,
    pub rows: u32,
}

/// Divides `count` entries, starting at `first`, into minibatches. The last one may be short.
pub fn batches(first: usize, count: usize, size: usize) -> impl Iterator<Item = Batch> {
    let starts = (0..count).step_by(size);
    starts.map(move |start| Batch { first: (first + start) as u32, rows: size.min(count - start) as u32 })
}
