//! Buffers with contents, and bindings of ranges of buffers.

use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};

use crate::error::Error;
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::plan::window::{Place, Window};
use crate::tick::scalars::Scalars;

/// A resource to bind: a range of a buffer, or of the gradients of a tensor, whose place each step may change.
#[derive(Clone)]
pub(crate) enum Resource {
    Range { buffer: Buffer, offset: u64, bytes: u64 },
    Grads { tensor: usize, offset: u64, bytes: u64 },
}

/// A range of a buffer.
pub(crate) fn range(buffer: &Buffer, offset: u64, bytes: u64) -> Resource {
    Resource::Range { buffer: buffer.clone(), offset, bytes }
}

/// A whole buffer.
pub(crate) fn whole(buffer: &Buffer) -> Resource {
    range(buffer, 0, buffer.size())
}

/// The scalars of a clock.
pub(crate) fn scalars_of(scalar_slots: &Buffer, clock: u32) -> Resource {
    range(scalar_slots, UNIFORM_STRIDE * u64::from(clock), size_of::<Scalars>() as u64)
}

/// A window of one of the caller's buffers, or of gradients.
pub(crate) fn window(places: &[Place], window: &Window) -> Resource {
    let Window { offset, bytes, .. } = *window;
    match &places[window.buffer] {
        Place::Buffer(buffer) => range(buffer, offset, bytes),
        Place::Grads(tensor) => Resource::Grads { tensor: *tensor, offset, bytes },
    }
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
