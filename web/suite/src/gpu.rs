//! The device under test, in a browser. Whatever reads from it is awaited.

use futures_intrusive::channel::shared::oneshot_channel;
use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, ComputePipelineDescriptor, Device, DeviceDescriptor, Instance, MapMode,
    Queue, ShaderModuleDescriptor, ShaderSource,
};
use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Error, Probe, Report, State, cpu};

use super::layout::Scene;
use super::run::{Run, Seen};

pub struct Gpu {
    pub device: Device,
    pub queue: Queue,
    /// The driver of the tests chooses SwiftShader, a CPU adapter, which gives the same bits as the twin.
    pub software: bool,
    /// The device flushes numbers below 2^-126 to zero, as WGSL allows.
    pub flushes: bool,
}

impl Gpu {
    /// A device with WebGPU's default limits and no features.
    pub async fn new() -> Self {
        let instance = Instance::default();
        let adapter = instance.request_adapter(&Default::default()).await.expect("no adapter");
        let (device, queue) = adapter.request_device(&DeviceDescriptor::default()).await.expect("no device");
        let mut gpu = Self { device, queue, software: true, flushes: false };
        gpu.flushes = gpu.probe_denormals().await;
        gpu
    }

    /// Returns whether half of 2^-147 is not 2^-148.
    async fn probe_denormals(&self) -> bool {
        let source = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
            @compute @workgroup_size(1) fn half() { x[0] = x[0] * x[1]; }";
        let numbers = self.buffer(&[f32::from_bits(4), 0.5]);
        let source = ShaderSource::Wgsl(source.into());
        let module = self.device.create_shader_module(ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let entries = [wgpu::BindGroupEntry { binding: 0, resource: numbers.as_entire_binding() }];
        let layout = &pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
        let bind_group = self.device.create_bind_group(&descriptor);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        self.queue.submit([encoder.finish()]);
        self.read(&numbers).await[0].to_bits() != 2
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

    pub async fn read(&self, buffer: &Buffer) -> Vec<f32> {
        let size = buffer.size();
        let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
        let staging =
            self.device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot_channel();
        staging.map_async(MapMode::Read, .., move |result| drop(sender.send(result)));
        receiver.receive().await.unwrap().unwrap();
        bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().unwrap())
    }

    pub async fn read_all(&self, buffers: &[Buffer]) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for buffer in buffers {
            all.push(self.read(buffer).await);
        }
        all
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

    pub async fn report(&self, adam: &Adam) -> Report {
        adam.read_report().await.unwrap()
    }

    pub async fn state(&self, adam: &Adam) -> State {
        adam.read_state().await.unwrap()
    }

    pub async fn start(&self, scene: &Scene) -> Run {
        self.try_start(scene).await.unwrap()
    }

    pub async fn try_start(&self, scene: &Scene) -> Result<Run, Error> {
        let placed = scene.place(self);
        let adam = Adam::new_async(&self.device, &self.queue, &placed.groups, scene.options.clone()).await?;
        Ok(scene.run(placed, adam))
    }

    /// Asserts that the device has what the twin has.
    pub async fn assert_same(&self, run: &Run) {
        let seen = Seen {
            params: self.read_all(&run.param_buffers).await,
            grads: self.read_all(&run.grad_buffers).await,
            state: self.state(&run.adam).await,
            report: self.report(&run.adam).await,
        };
        if let Some(difference) = run.difference_from(seen, self) {
            panic!("{difference}");
        }
    }

    /// Makes one step on both sides with the current gradients, and returns both measurements.
    pub async fn measured_step(&self, run: &mut Run, probe: &Probe) -> (Insight, Insight) {
        run.upload_grads(self);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        probe.step(&run.adam, &mut encoder).unwrap();
        self.queue.submit([encoder.finish()]);
        let got = probe.read(&run.adam).await.unwrap();
        (got, run.twin_step_by(cpu::Adam::step_measured).1)
    }
}
