//! The GPU of the visitor.

use crate::Result;
use std::sync::{Arc, Mutex};
use wasm_bindgen::prelude::*;
use wgpu::{
    Adapter, Backends, Buffer, BufferUsages, DeviceDescriptor, Instance, InstanceDescriptor, Limits, MapMode, Queue,
};

#[wasm_bindgen]
pub struct Device {
    pub(crate) instance: Instance,
    pub(crate) adapter: Adapter,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: Queue,
    /// What went wrong outside any call.
    faults: Arc<Mutex<Vec<String>>>,
}

#[wasm_bindgen]
impl Device {
    /// Opens the GPU. Throws what is missing, in words.
    pub async fn open() -> Result<Device> {
        if !wgpu::util::is_browser_webgpu_supported().await {
            return Err(JsError::new("This browser offers no WebGPU, or no GPU for it."));
        }
        let instance = Instance::new(InstanceDescriptor {
            backends: Backends::BROWSER_WEBGPU,
            ..InstanceDescriptor::new_without_display_handle()
        });
        let adapter = instance.request_adapter(&Default::default()).await?;
        // With more storage buffers, a dispatch steps more tensors that are separately allocated.
        let most = adapter.limits().max_storage_buffers_per_shader_stage;
        let required_limits = Limits { max_storage_buffers_per_shader_stage: most, ..Limits::default() };
        let descriptor = DeviceDescriptor { required_limits, ..DeviceDescriptor::default() };
        let (device, queue) = adapter.request_device(&descriptor).await?;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let tell = |faults: &Arc<Mutex<Vec<String>>>| {
            let faults = faults.clone();
            move |fault: String| faults.lock().expect("no panic while it is locked").push(fault)
        };
        let fault = tell(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| fault(error.to_string())));
        let fault = tell(&faults);
        device.set_device_lost_callback(move |reason, message| {
            fault(format!("The GPU was lost ({reason:?}): {message}"))
        });
        Ok(Self { instance, adapter, device, queue, faults })
    }

    /// Returns what went wrong outside any call since the last time.
    #[wasm_bindgen(js_name = takeFaults)]
    pub fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().expect("no panic while it is locked"))
    }
}

/// Waits until the GPU has finished what was submitted.
pub async fn finished(queue: &Queue) -> Result<()> {
    let (sender, done) = futures_channel::oneshot::channel();
    queue.on_submitted_work_done(move || sender.send(()).unwrap_or_default());
    Ok(done.await?)
}

/// A range of a buffer, in f32.
pub struct Part<'a>(pub &'a Buffer, pub usize, pub usize);

/// Submits a copy of parts of buffers now. The future resolves to their floats, in order.
pub fn read(device: &wgpu::Device, queue: &Queue, parts: &[Part]) -> impl Future<Output = Result<Vec<f32>>> + use<> {
    let floats: usize = parts.iter().map(|Part(_, _, len)| len).sum();
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: 4 * floats as u64,
        usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut to = 0;
    for Part(buffer, first, len) in parts {
        encoder.copy_buffer_to_buffer(buffer, 4 * *first as u64, &staging, to, 4 * *len as u64);
        to += 4 * *len as u64;
    }
    queue.submit([encoder.finish()]);
    let (sender, receiver) = futures_channel::oneshot::channel();
    staging.map_async(MapMode::Read, .., move |result| drop(sender.send(result)));
    async move {
        receiver.await??;
        let floats = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
        staging.destroy();
        Ok(floats)
    }
}
