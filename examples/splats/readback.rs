//! A copy of a buffer on its way to the host.

use crate::trainer::Result;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use wgpu::{Buffer, BufferAsyncError, BufferDescriptor, BufferUsages, Device, MapMode, PollType, Queue};

pub struct Readback {
    staging: Buffer,
    arrived: Arc<AtomicBool>,
    result: Receiver<std::result::Result<(), BufferAsyncError>>,
}

impl Readback {
    /// Submits the copy.
    pub fn new(device: &Device, queue: &Queue, buffer: &Buffer) -> Self {
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let label = Some("readback");
        let staging =
            device.create_buffer(&BufferDescriptor { label, size: buffer.size(), usage, mapped_at_creation: false });
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        queue.submit([encoder.finish()]);
        let (sender, result) = channel();
        let arrived = Arc::new(AtomicBool::new(false));
        let flag = arrived.clone();
        staging.map_async(MapMode::Read, .., move |result| {
            drop(sender.send(result));
            flag.store(true, Ordering::Release);
        });
        Self { staging, arrived, result }
    }

    pub fn has_arrived(&self) -> bool {
        self.arrived.load(Ordering::Acquire)
    }

    /// Waits for the copy and returns what it holds.
    pub fn wait<T: bytemuck::Pod>(self, device: &Device) -> Result<Vec<T>> {
        if !self.has_arrived() {
            device.poll(PollType::wait_indefinitely())?;
        }
        self.result.recv()??;
        Ok(bytemuck::pod_collect_to_vec(&self.staging.get_mapped_range(..)?))
    }
}
