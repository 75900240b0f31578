//! The data set on the GPU, the order of its rows, and the division of that order into minibatches.

use crate::{
    data::Data,
    gpu::upload,
    kernel::Binding,
    minibatch::{Batch, batches},
};
use wgpu::{Buffer, BufferUsages, Device, Queue};

pub struct Resident {
    /// One byte per pixel, image after image.
    pub pixels: Buffer,
    /// The byte of the brightest pixel.
    pub white: u8,
    pub labels: Buffer,
    /// Row numbers: first the training rows, shuffled for each epoch, then the held-out rows.
    pub order: Buffer,
    /// The minibatches, `stride` bytes apart. A kernel binds one of them as its uniform.
    uniform: Buffer,
    stride: usize,
    /// Number of rows in a minibatch.
    pub batch: usize,
    /// Number of training minibatches.
    pub train_batches: usize,
    /// Number of all minibatches.
    pub batches: usize,
}

impl Resident {
    /// Uploads the data, for minibatches of `batch` rows.
    pub fn new(device: &Device, data: &Data, batch: usize) -> Self {
        let (train, held_out) = (data.train.len(), data.held_out.len());
        let order = [&data.train[..], &data.held_out].concat();
        let list: Vec<Batch> = batches(0, train, batch).chain(batches(train, held_out, batch)).collect();
        let stride = device.limits().min_uniform_buffer_offset_alignment as usize;
        let mut bytes = vec![0; list.len() * stride];
        for (slot, batch) in bytes.chunks_mut(stride).zip(&list) {
            slot[..size_of::<Batch>()].copy_from_slice(bytemuck::bytes_of(batch));
        }
        let storage = BufferUsages::STORAGE;
        Self {
            pixels: upload(device, "pixels", &data.pixels, storage),
            white: data.white,
            labels: upload(device, "labels", bytemuck::cast_slice(&data.labels), storage),
            order: upload(device, "order", bytemuck::cast_slice(&order), storage | BufferUsages::COPY_DST),
            uniform: upload(device, "batches", &bytes, BufferUsages::UNIFORM),
            stride,
            batch,
            train_batches: train.div_ceil(batch),
            batches: list.len(),
        }
    }

    /// Sets the order of the training rows, from the next submission on.
    pub fn reorder(&self, queue: &Queue, order: &[u32]) {
        queue.write_buffer(&self.order, 0, bytemuck::cast_slice(order));
    }

    /// The binding of the current minibatch. `offset` selects the minibatch.
    pub fn which(&self) -> Binding<'_> {
        Binding::Uniform(&self.uniform, size_of::<Batch>() as u64)
    }

    pub fn offset(&self, batch: usize) -> u32 {
        (batch * self.stride) as u32
    }
}
