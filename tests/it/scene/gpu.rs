//! The device under test, and operations on buffers.

use std::sync::OnceLock;

use wgpu::util::{BufferInitDescriptor, DeviceExt, initialize_adapter_from_env_or_default};
use wgpu::{
    Adapter, BindGroup, BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages, ComputePipeline,
    ComputePipelineDescriptor, Device, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, Limits, Queue,
    ShaderModuleDescriptor, ShaderSource,
};
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
    /// Returns whether half of 2^-147 is not 2^-148.
    fn probe_denormals(&self) -> bool {
        let source = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
            @compute @workgroup_size(1) fn half() { x[0] = x[0] * x[1]; }";
        let numbers = self.buffer(&[f32::from_bits(4), 0.5]);
        let (pipeline, bind_group) = self.pipeline(source, &[&numbers]);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        self.queue.submit([encoder.finish()]);
        self.read(&numbers)[0].to_bits() != 2
    }

    /// Makes a compute pipeline of the WGSL, and its bind group with the buffers in the order of their bindings.
    pub fn pipeline(&self, wgsl: &str, buffers: &[&Buffer]) -> (ComputePipeline, BindGroup) {
        let source = ShaderSource::Wgsl(wgsl.into());
        let module = self.device.create_shader_module(ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let entries = buffers.iter().zip(0..);
        let entries = entries.map(|(buffer, binding)| BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let bind_group = self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        (pipeline, bind_group)
    }

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
        gpu.flushes = *FLUSHES.get_or_init(|| gpu.probe_denormals());
        gpu
    }

    pub fn buffer(&self, values: &[f32]) -> Buffer {
        self.device.create_buffer_init(&BufferInitDescriptor {
            label: None,
            contents: bytemuck::cast_slice(values),
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        })
    }

    pub fn write(&self, buffer: &Buffer, values: &[f32]) {
        self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
    }

    pub fn read(&self, buffer: &Buffer) -> Vec<f32> {
        let size = buffer.size();
        let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
        let staging =
            self.device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().unwrap())
    }

    pub fn step(&self, adam: &Adam) {
        self.steps(adam, 1);
    }

    /// Makes `steps` steps in one submission.
    pub fn steps(&self, adam: &Adam, steps: usize) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for _ in 0..steps {
            adam.step(&mut encoder);
        }
        self.queue.submit([encoder.finish()]);
    }

    pub fn report(&self, adam: &Adam) -> Report {
        pollster::block_on(adam.read_report()).unwrap()
    }

    pub fn state(&self, adam: &Adam) -> State {
        pollster::block_on(adam.read_state()).unwrap()
    }
}
