//! Finds a GPU and opens it.

use wgpu::{AdapterInfo, Device, DeviceType, Instance, InstanceDescriptor, Queue};

/// The GPU that wgpu prefers, with buffers as large as it allows and WebGPU's default limits in all else; and its name.
/// wgpu's environment variables apply: `WGPU_BACKEND`, `WGPU_POWER_PREF`.
pub fn open() -> Result<(Device, Queue, String), String> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
    let power_preference = wgpu::PowerPreference::from_env().unwrap_or(wgpu::PowerPreference::HighPerformance);
    let options = wgpu::RequestAdapterOptions { power_preference, ..Default::default() };
    let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|_| "no GPU was found")?;
    let name = describe(&adapter.get_info());
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

/// The adapter's name and backend, and whether it only plays a GPU.
fn describe(info: &AdapterInfo) -> String {
    let software = if info.device_type == DeviceType::Cpu { ", a software adapter: no GPU at work" } else { "" };
    format!("{} ({}{software})", info.name, info.backend)
}
