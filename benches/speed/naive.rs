//! The baseline: Adam in WGSL as it is usually written, with one dispatch and one submission per tensor.

use std::error::Error;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages, ComputePipeline,
    ComputePipelineDescriptor, ShaderModuleDescriptor, ShaderSource,
};

use crate::device::Gpu;
use crate::shapes::Shape;
use crate::stopwatch::Stopwatch;
use crate::subject::{Subject, Time};

pub struct Naive<'a> {
    gpu: &'a Gpu,
    pipeline: ComputePipeline,
    tensors: Vec<Tensor>,
    t: u32,
}

struct Tensor {
    settings: Buffer,
    bind_group: BindGroup,
    len: u32,
    workgroups: [u32; 2],
}

impl<'a> Naive<'a> {
    /// Returns `None` if a tensor does not fit in a binding, because the baseline cannot split it.
    pub fn new(gpu: &'a Gpu, shapes: &[Shape]) -> Option<Self> {
        let limits = gpu.device.limits();
        if shapes.iter().any(|shape| 4 * shape.len > limits.max_storage_buffer_binding_size) {
            return None;
        }
        let module = gpu.device.create_shader_module(ShaderModuleDescriptor {
            label: Some("naive"),
            source: ShaderSource::Wgsl(include_str!("naive.wgsl").into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some("naive"),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        let tensors = shapes.iter().map(|shape| {
            let settings = gpu.device.create_buffer(&BufferDescriptor {
                label: Some("settings"),
                size: 32,
                usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let values = [gpu.filled(shape.len), gpu.filled(shape.len), gpu.buffer(shape.len), gpu.buffer(shape.len)];
            let buffers = std::iter::once(&settings).chain(&values);
            let entries: Vec<BindGroupEntry> = (0..)
                .zip(buffers)
                .map(|(binding, buffer)| BindGroupEntry { binding, resource: buffer.as_entire_binding() })
                .collect();
            let descriptor = BindGroupDescriptor { label: Some("naive"), layout: &layout, entries: &entries };
            let bind_group = gpu.device.create_bind_group(&descriptor);
            let workgroups = shape.len.div_ceil(256);
            let rows = workgroups.div_ceil(limits.max_compute_workgroups_per_dimension.into());
            let workgroups = [workgroups.div_ceil(rows) as u32, rows as u32];
            Tensor { settings, bind_group, len: shape.len as u32, workgroups }
        });
        Some(Self { gpu, tensors: tensors.collect(), pipeline, t: 0 })
    }
}

impl Subject for Naive<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        let start = Stopwatch::start();
        for _ in 0..steps {
            self.t += 1;
            for tensor in &self.tensors {
                let numbers = [1e-3, 0.9, 0.999, 1e-8, 0.01, self.t as f32, f32::from_bits(tensor.len), 0.0];
                self.gpu.queue.write_buffer(&tensor.settings, 0, bytemuck::cast_slice(&numbers));
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&self.pipeline);
                pass.set_bind_group(0, &tensor.bind_group, &[]);
                pass.dispatch_workgroups(tensor.workgroups[0], tensor.workgroups[1], 1);
                drop(pass);
                self.gpu.queue.submit([encoder.finish()]);
            }
            self.gpu.wait();
        }
        Ok(Time { wall: start.ms(), device: None })
    }
}
