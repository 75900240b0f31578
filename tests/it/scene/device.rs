//! What a test asks of its device without waiting for an answer. In a browser, no test can wait.

use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages, ComputePipeline,
    ComputePipelineDescriptor, ShaderModuleDescriptor, ShaderSource,
};
use wgpu_adam::Adam;

use super::Gpu;

impl Gpu {
    /// Computes half of 2^-147. A device that flushes numbers below 2^-126 to zero returns other bits than 2.
    pub fn halved(&self) -> Buffer {
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
        numbers
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

    /// Submits a copy of a buffer, and returns the buffer to map.
    pub fn staged(&self, buffer: &Buffer) -> Buffer {
        let size = buffer.size();
        let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
        let staging =
            self.device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        staging
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
}
