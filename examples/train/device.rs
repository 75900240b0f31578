//! Opens a GPU.

use crate::adapter;
use wgpu::{Device, Queue};

/// Opens the chosen GPU and returns its name too. The limits on buffer sizes are those of the adapter; all others are
/// WebGPU's defaults.
pub fn open() -> Result<(Device, Queue, String), String> {
    let adapter = adapter::choose()?;
    let name = adapter::describe(&adapter);
    let limits = adapter.limits();
    let required_limits = wgpu::Limits {
        max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
        max_buffer_size: limits.max_buffer_size,
        ..Default::default()
    };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| format!("{name}: {error}"))?;
    Ok((device, queue, name))
}
