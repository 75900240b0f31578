//! A WGSL kernel on fixed buffers: its pipeline, its bind group and its number of workgroups.

use wgpu::{BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType, ComputePass, Device, ShaderStages};

/// How a kernel uses a buffer.
pub enum Binding<'a> {
    Read(&'a Buffer),
    Write(&'a Buffer),
    /// A uniform of this many bytes. Each dispatch gives its offset.
    Uniform(&'a Buffer, u64),
}

pub struct Kernel {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
    has_uniform: bool,
}

impl Kernel {
    /// Compiles the only entry point of `wgsl` with these values of its `override`s. Bindings are numbered in order.
    pub fn new(
        device: &Device,
        label: &str,
        wgsl: &str,
        overrides: &[(&str, f64)],
        bindings: &[Binding],
        workgroups: [u32; 3],
    ) -> Self {
        let label = Some(label);
        let kinds = bindings.iter().map(|binding| match binding {
            Binding::Read(_) => (BufferBindingType::Storage { read_only: true }, false),
            Binding::Write(_) => (BufferBindingType::Storage { read_only: false }, false),
            Binding::Uniform(..) => (BufferBindingType::Uniform, true),
        });
        let entries: Vec<_> = (0..)
            .zip(kinds)
            .map(|(binding, (ty, has_dynamic_offset))| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let resources = bindings.iter().map(|binding| match *binding {
            Binding::Read(buffer) | Binding::Write(buffer) => buffer.as_entire_binding(),
            Binding::Uniform(buffer, bytes) => {
                BindingResource::Buffer(BufferBinding { buffer, offset: 0, size: wgpu::BufferSize::new(bytes) })
            }
        });
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let bind_group =
            device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout: &layout, entries: &entries });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: overrides,
                // The kernels write all workgroup memory before they read it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let has_uniform = bindings.iter().any(|binding| matches!(binding, Binding::Uniform(..)));
        Self { pipeline, bind_group, workgroups, has_uniform }
    }

    /// Records a dispatch. `offset` applies to the uniform, if the kernel has one.
    pub fn record(&self, pass: &mut ComputePass, offset: u32) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[offset][..usize::from(self.has_uniform)]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}
