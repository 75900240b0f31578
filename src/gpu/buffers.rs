//! Buffers with contents, and bindings of ranges of buffers.

use wgpu::{BindingResource, Buffer, BufferBinding, BufferDescriptor, BufferSize, BufferUsages, Device};

use crate::error::Error;
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::plan::window::Window;
use crate::tick::scalars::Scalars;

/// A binding of a range of a buffer.
pub(crate) fn sub_binding(buffer: &Buffer, offset: u64, bytes: u64) -> BindingResource<'_> {
    BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) })
}

/// A binding of the scalars of a clock.
pub(crate) fn clock_binding(scalar_slots: &Buffer, clock: u32) -> BindingResource<'_> {
    sub_binding(scalar_slots, UNIFORM_STRIDE * u64::from(clock), size_of::<Scalars>() as u64)
}

/// A binding of a window of one of the caller's buffers.
pub(crate) fn window<'a>(buffers: &'a [Buffer], window: &Window) -> BindingResource<'a> {
    sub_binding(&buffers[window.buffer], window.offset, window.bytes)
}

/// Makes a buffer of zeros.
pub(crate) fn empty(device: &Device, label: &str, usage: BufferUsages, size: u64) -> Buffer {
    let label = format!("wgpu-adam {label}");
    device.create_buffer(&BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation: false })
}

/// Makes a buffer with these contents. wgpu's `create_buffer_init` panics if the device is out of memory.
pub(crate) fn filled(device: &Device, label: &str, usage: BufferUsages, contents: &[u8]) -> Result<Buffer, Error> {
    let label = format!("wgpu-adam {label}");
    let size = contents.len() as u64;
    let descriptor = BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation: true };
    let buffer = device.create_buffer(&descriptor);
    let failed = |e: wgpu::MapRangeError| Error::Device { what: "filling a buffer", reason: e.to_string() };
    buffer.get_mapped_range_mut(..).map_err(failed)?.copy_from_slice(contents);
    buffer.unmap();
    Ok(buffer)
}
