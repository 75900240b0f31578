//! The device under test, and what is read from it.

use std::sync::OnceLock;

use wgpu::util::initialize_adapter_from_env_or_default;
use wgpu::{Adapter, Buffer, Device, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, Limits, Queue};
use wgpu_adam::{Adam, Report, State};

pub struct Gpu {
    pub device: Device,
    pub queue: Queue,
    /// A CPU adapter, which gives the same bits as the twin.
    pub software: bool,
    pub backend: wgpu::Backend,
    /// The device flushes numbers below 2^-126 to zero, as WGSL allows.
    pub flushes: bool,
}

/// Whether the adapter flushes denormal numbers. The process has only one adapter.
static FLUSHES: OnceLock<bool> = OnceLock::new();

impl Gpu {
    /// A device with WebGPU's default limits and no features.
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self::asking(|_| limits)
    }

    /// A device with `most` storage buffers per shader stage, or fewer if the adapter has fewer.
    pub fn with_storage_buffers(most: u32) -> Self {
        Self::asking(|has| {
            let buffers = most.min(has.max_storage_buffers_per_shader_stage);
            println!("{buffers} storage buffers per stage");
            Limits { max_storage_buffers_per_shader_stage: buffers, ..Limits::default() }
        })
    }

    /// A device that binds storage buffers at the smallest offsets that the adapter allows.
    pub fn with_smallest_alignment() -> Self {
        Self::asking(|has| Limits {
            min_storage_buffer_offset_alignment: has.min_storage_buffer_offset_alignment,
            ..Limits::default()
        })
    }

    /// Two devices of one adapter. wgpu cannot tell devices of different instances apart.
    pub fn two() -> [Self; 2] {
        let adapter = Self::adapter();
        [0; 2].map(|_| Self::of(&adapter, Limits::default()))
    }

    /// A device with the limits that the function returns, given the limits of the adapter.
    fn asking(limits: impl FnOnce(Limits) -> Limits) -> Self {
        let adapter = Self::adapter();
        Self::of(&adapter, limits(adapter.limits()))
    }

    /// WGPU_BACKEND and WGPU_ADAPTER_NAME choose among several adapters.
    fn adapter() -> Adapter {
        let _ = env_logger::builder().is_test(true).try_init();
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        pollster::block_on(initialize_adapter_from_env_or_default(&instance, None))
            .expect("no adapter: these tests need one (a software adapter is enough)")
    }

    fn of(adapter: &Adapter, required_limits: Limits) -> Self {
        let descriptor = DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("no device");
        let info = adapter.get_info();
        let software = info.device_type == DeviceType::Cpu;
        let mut gpu = Self { device, queue, software, backend: info.backend, flushes: false };
        gpu.flushes = *FLUSHES.get_or_init(|| gpu.read(&gpu.halved())[0].to_bits() != 2);
        gpu
    }

    pub fn read(&self, buffer: &Buffer) -> Vec<f32> {
        let staging = self.staged(buffer);
        staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().unwrap())
    }

    pub fn report(&self, adam: &Adam) -> Report {
        pollster::block_on(adam.read_report()).unwrap()
    }

    pub fn state(&self, adam: &Adam) -> State {
        pollster::block_on(adam.read_state()).unwrap()
    }
}
