//! The roofline: a plain copy, and a kernel that moves what a step moves and computes nothing to speak of.

use std::error::Error;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferSize,
    ComputePipeline, ComputePipelineDescriptor, ShaderModuleDescriptor, ShaderSource,
};

use crate::device::Gpu;
use crate::subject::{Subject, Time};

pub struct Copy<'a> {
    gpu: &'a Gpu,
    from: Buffer,
    to: Buffer,
}

impl<'a> Copy<'a> {
    pub fn new(gpu: &'a Gpu, elements: u64) -> Self {
        Self { gpu, from: gpu.filled(elements), to: gpu.buffer(elements) }
    }
}

impl Subject for Copy<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_copies(|encoder| {
            for _ in 0..steps {
                encoder.copy_buffer_to_buffer(&self.from, 0, &self.to, 0, self.from.size());
            }
        }))
    }
}

/// Words of four elements that an invocation moves, and invocations in a workgroup: as the optimizer's kernel has them, which
/// is also where this one is fastest (see `../NOTES.md`).
const WORDS: u64 = 4;
/// Invocations that load one line of memory together.
const LINE: u64 = 8;
const WORKGROUP: u64 = 256;

/// Reads param, grad and the memories, writes param and the memories.
pub struct Streams<'a> {
    gpu: &'a Gpu,
    pipeline: ComputePipeline,
    /// One for each part that fits in a binding.
    parts: Vec<(BindGroup, [u32; 2])>,
}

impl<'a> Streams<'a> {
    /// The kernel with that many memories, over as many elements (a multiple of 4).
    pub fn new(gpu: &'a Gpu, elements: u64, memories: u32) -> Self {
        let module = gpu.device.create_shader_module(ShaderModuleDescriptor {
            label: Some("streams"),
            source: ShaderSource::Wgsl(wgsl(memories).into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some("streams"),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let buffers: Vec<Buffer> = (0..2 + memories).map(|_| gpu.filled(elements)).collect();
        let limits = gpu.device.limits();
        let most = (limits.max_storage_buffer_binding_size / 4).min(1 << 30) / 1024 * 1024;
        let layout = pipeline.get_bind_group_layout(0);
        let parts = (0..elements).step_by(most as usize).map(|begin| {
            let len = most.min(elements - begin);
            let entries: Vec<BindGroupEntry> = (0..)
                .zip(&buffers)
                .map(|(binding, buffer)| {
                    let (offset, size) = (4 * begin, BufferSize::new(4 * len));
                    BindGroupEntry {
                        binding,
                        resource: BindingResource::Buffer(BufferBinding { buffer, offset, size }),
                    }
                })
                .collect();
            let descriptor = BindGroupDescriptor { label: Some("streams"), layout: &layout, entries: &entries };
            let workgroups = (len / 4).div_ceil(WORDS * WORKGROUP);
            let rows = workgroups.div_ceil(limits.max_compute_workgroups_per_dimension.into());
            (gpu.device.create_bind_group(&descriptor), [workgroups.div_ceil(rows) as u32, rows as u32])
        });
        Self { gpu, parts: parts.collect(), pipeline }
    }
}

impl Subject for Streams<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_pass(|pass| {
            pass.set_pipeline(&self.pipeline);
            for (bind_group, [x, y]) in (0..steps).flat_map(|_| &self.parts) {
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(*x, *y, 1);
            }
        }))
    }
}

/// Each buffer is given what the next one had, so that every load is needed; one addition brings in the gradient.
fn wgsl(memories: u32) -> String {
    let names: Vec<String> = (0..=memories).map(|i| format!("x{i}")).collect();
    let mut wgsl = "@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;\n".to_owned();
    for (i, name) in names.iter().enumerate() {
        wgsl += &format!("@group(0) @binding({}) var<storage, read_write> {name}: array<vec4<f32>>;\n", i + 1);
    }
    wgsl += "fn move_word(at: u32) {\n    if at >= arrayLength(&grad) { return; }\n    let g = grad[at];\n";
    wgsl += &names.iter().map(|name| format!("    let old_{name} = {name}[at];\n")).collect::<String>();
    for (name, next) in names.iter().zip(names.iter().cycle().skip(1)) {
        let gradient = if next == "x0" { " + g" } else { "" };
        wgsl += &format!("    {name}[at] = old_{next}{gradient};\n");
    }
    wgsl + &format!(
        "}}
@compute @workgroup_size({WORKGROUP})
fn streams(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {{
    let number = workgroup.y * workgroups.x + workgroup.x;
    let first = number * {}u + index / {LINE}u * {}u + index % {LINE}u;
    move_word(first);
    move_word(first + {LINE}u);
    move_word(first + 2u * {LINE}u);
    move_word(first + 3u * {LINE}u);
}}
",
        WORDS * WORKGROUP,
        WORDS * LINE,
    )
}
