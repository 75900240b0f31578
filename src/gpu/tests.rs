//! Tests on a device that use private fields: the scalars that `tick` computes, and destroyed buffers.

use wgpu::util::{BufferInitDescriptor, DeviceExt, initialize_adapter_from_env_or_default};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, DeviceType, Instance, InstanceDescriptor, Queue};

use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::config::options::Options;
use crate::config::tensor::Tensor;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::gpu::readback::{Source, read};
use crate::tick::scalars::Scalars;
use crate::tick::tests::{FAR, check, configs};

struct Gpu {
    device: Device,
    queue: Queue,
    /// The adapter is a CPU: divisions and roots are correctly rounded.
    software: bool,
}

impl Gpu {
    fn new() -> Self {
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None)).expect("no adapter");
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).expect("no device");
        Self { device, queue, software: adapter.get_info().device_type == DeviceType::Cpu }
    }

    /// An optimizer with a group for each configuration, each of one tensor with one element.
    fn adam(&self, configs: &[Config]) -> Adam {
        let usage = BufferUsages::STORAGE;
        let descriptor = BufferInitDescriptor { label: None, contents: bytemuck::bytes_of(&1_f32), usage };
        let buffer = || self.device.create_buffer_init(&descriptor);
        let group = |(i, config): (usize, &Config)| {
            Group::new(config.clone(), vec![Tensor::f32(format!("{i}"), &buffer(), &buffer())])
        };
        let groups: Vec<Group> = configs.iter().enumerate().map(group).collect();
        Adam::new(&self.device, &self.queue, &groups, Options::default()).unwrap()
    }

    fn bytes(&self, buffer: &Buffer) -> Vec<u8> {
        let source = Source { buffer, offset: 0, bytes: buffer.size() };
        pollster::block_on(read(&self.device, &self.queue, "a buffer", &[source])).unwrap()
    }
}

/// The scalars after each of `count` ticks. Only `tick` is run.
fn ticks(gpu: &Gpu, adam: &Adam, count: u64) -> Vec<Vec<Scalars>> {
    let size = adam.scalar_slots.size();
    let usage = BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    let descriptor = BufferDescriptor { label: None, size: size * count, usage, mapped_at_creation: false };
    let all = gpu.device.create_buffer(&descriptor);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for t in 0..count {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        adam.dispatches[0].record(&mut pass);
        drop(pass);
        encoder.copy_buffer_to_buffer(&adam.scalar_slots, 0, &all, t * size, size);
    }
    gpu.queue.submit([encoder.finish()]);
    let slot = |slot: &[u8]| bytemuck::pod_read_unaligned(&slot[..size_of::<Scalars>()]);
    let scalar_slots = |scalar_slots: &[u8]| scalar_slots.chunks(UNIFORM_STRIDE as usize).map(slot).collect();
    gpu.bytes(&all).chunks(size as usize).map(scalar_slots).collect()
}

#[test]
fn the_scalars_on_the_device_are_within_4e_7_of_float64() {
    let (gpu, configs) = (Gpu::new(), configs());
    let adam = gpu.adam(&configs);
    // On a GPU, two divisions may add 2.5 ulp each and two roots 4.5 ulp each.
    let more = if gpu.software { 0.0 } else { 14.0 * 2f64.powi(-23) };
    let mut worst: f64 = 0.0;
    let near = (0..20_000).step_by(500).map(|start| (start, 500));
    for (start, count) in near.chain(FAR.map(|t| (t - 2, 3))) {
        if start == 0 || start >= 20_000 {
            adam.set_t(start).unwrap();
        }
        for (i, scalars) in ticks(&gpu, &adam, count).iter().enumerate() {
            for (config, scalars) in configs.iter().zip(scalars) {
                worst = worst.max(check(config, start + i as u32 + 1, scalars, more));
            }
        }
    }
    println!("worst: {worst:.2e}");
}

/// A write to a destroyed buffer fails as a write without memory does.
#[test]
fn writes_are_inside_error_scopes() {
    let gpu = Gpu::new();
    let mut adam = gpu.adam(&[Config::default()]);
    let before = pollster::block_on(adam.read_state()).unwrap();
    adam.settings.destroy();
    let error = adam.set_lr(0, 0.5).unwrap_err();
    assert!(matches!(error, Error::Device { what: "setting the learning rate", .. }), "{error}");
    assert_eq!(pollster::block_on(adam.read_state()).unwrap(), before);
    adam.clock.destroy();
    let error = adam.set_t(5).unwrap_err();
    assert!(matches!(error, Error::Device { what: "setting t", .. }), "{error}");
    let error = pollster::block_on(adam.read_report()).unwrap_err();
    assert!(matches!(error, Error::Device { what: "reading back", .. }), "{error}");
}
