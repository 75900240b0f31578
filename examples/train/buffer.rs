//! Buffers that are uploaded, empty, or read back.

use std::error::Error;
use wgpu::{Buffer, BufferUsages, Device, PollType, util::DeviceExt};

pub fn upload(device: &Device, label: &str, contents: &[u8], usage: BufferUsages) -> Buffer {
    device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage })
}

/// Creates a buffer of `floats` f32 zeros.
pub fn empty(device: &Device, label: &str, floats: usize, usage: BufferUsages) -> Buffer {
    let size = 4 * floats as u64;
    device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

/// Waits for all submitted work and reads a mappable buffer.
pub fn read(device: &Device, buffer: &Buffer) -> Result<Vec<f32>, Box<dyn Error>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
    device.poll(PollType::wait_indefinitely())?;
    receiver.recv()??;
    let floats = bytemuck::cast_slice(&buffer.get_mapped_range(..)?).to_vec();
    buffer.unmap();
    Ok(floats)
}
