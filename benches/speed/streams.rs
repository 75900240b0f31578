//! The roofline: a plain copy, and a kernel that moves as many bytes as a step and computes almost nothing.

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

/// Quads that an invocation moves, as in the update kernel. This kernel is fastest with these values (see
/// `../NOTES.md`).
const QUADS: u64 = 4;
/// Invocations that together load one line of memory.
const LINE: u64 = 8;
/// Invocations in a workgroup.
const WORKGROUP: u64 = 256;

/// A buffer that is read, and possibly written.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Bytes per element: 4, 2 or 1.
    pub bytes: u64,
    pub written: bool,
}

impl Stream {
    /// Returns the streams of a step: a gradient, which is only read, and one written stream for each entry of
    /// `written`. All sizes are bytes per element.
    pub fn of(grad: u64, written: &[u64]) -> Vec<Self> {
        let written = written.iter().map(|&bytes| Self { bytes, written: true });
        std::iter::once(Self { bytes: grad, written: false }).chain(written).collect()
    }

    /// Returns the streams of a step in f32: the gradient, the parameter and `state_tensors` state tensors.
    pub fn of_f32(state_tensors: usize) -> Vec<Self> {
        Self::of(4, &vec![4; 1 + state_tensors])
    }

    /// Returns the bytes that all streams move per element.
    pub fn bytes(all: &[Self]) -> u64 {
        all.iter().map(|stream| stream.bytes * if stream.written { 2 } else { 1 }).sum()
    }

    /// The WGSL type of a quad.
    fn quad(self) -> &'static str {
        match self.bytes {
            4 => "vec4<u32>",
            2 => "vec2<u32>",
            _ => "u32",
        }
    }
}

/// The kernel. It reads all streams, the first of which is the gradient, and writes those that are `written`.
pub struct Streams<'a> {
    gpu: &'a Gpu,
    pipeline: ComputePipeline,
    /// The bind group and the workgroups of each part that fits in a binding.
    parts: Vec<(BindGroup, [u32; 2])>,
}

impl<'a> Streams<'a> {
    /// Builds the kernel for these streams of `elements` elements, which is a multiple of 4.
    pub fn new(gpu: &'a Gpu, elements: u64, streams: &[Stream]) -> Self {
        let module = gpu.device.create_shader_module(ShaderModuleDescriptor {
            label: Some("streams"),
            source: ShaderSource::Wgsl(wgsl(streams).into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some("streams"),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let buffers: Vec<Buffer> = streams.iter().map(|stream| gpu.filled(elements * stream.bytes / 4)).collect();
        let limits = gpu.device.limits();
        let most = (limits.max_storage_buffer_binding_size / 4).min(1 << 30) / 1024 * 1024;
        let layout = pipeline.get_bind_group_layout(0);
        let parts = (0..elements).step_by(most as usize).map(|begin| {
            let len = most.min(elements - begin);
            let entries: Vec<BindGroupEntry> = (0..)
                .zip(buffers.iter().zip(streams))
                .map(|(binding, (buffer, stream))| {
                    let (offset, size) = (stream.bytes * begin, BufferSize::new(stream.bytes * len));
                    BindGroupEntry {
                        binding,
                        resource: BindingResource::Buffer(BufferBinding { buffer, offset, size }),
                    }
                })
                .collect();
            let descriptor = BindGroupDescriptor { label: Some("streams"), layout: &layout, entries: &entries };
            let workgroups = (len / 4).div_ceil(QUADS * WORKGROUP);
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

/// Each buffer receives the contents of the next one, so every load is needed. One addition uses the gradient.
fn wgsl(streams: &[Stream]) -> String {
    let mut wgsl = WIDTHS.to_owned();
    for (i, stream) in streams.iter().enumerate() {
        let access = if stream.written { "read_write" } else { "read" };
        wgsl += &format!("@group(0) @binding({i}) var<storage, {access}> x{i}: array<{}>;\n", stream.quad());
    }
    wgsl += "fn move_quad(at: u32) {\n    if at >= arrayLength(&x0) { return; }\n";
    for (i, stream) in streams.iter().enumerate() {
        wgsl += &format!("    let old{i} = from{}(x{i}[at]);\n", stream.bytes);
    }
    let written = || streams.iter().enumerate().filter(|(_, stream)| stream.written);
    for ((i, stream), (next, _)) in written().zip(written().cycle().skip(1)) {
        let gradient = if next <= i { " + old0" } else { "" };
        wgsl += &format!("    x{i}[at] = to{}(old{next}{gradient});\n", stream.bytes);
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
    move_quad(first);
    move_quad(first + {LINE}u);
    move_quad(first + 2u * {LINE}u);
    move_quad(first + 3u * {LINE}u);
}}
",
        QUADS * WORKGROUP,
        QUADS * LINE,
    )
}

/// Converts a quad of each width to `vec4<u32>` and back. All bits are used, so no load can be left out.
const WIDTHS: &str = "
fn from4(x: vec4<u32>) -> vec4<u32> { return x; }
fn from2(x: vec2<u32>) -> vec4<u32> { return x.xyxy; }
fn from1(x: u32) -> vec4<u32> { return vec4<u32>(x); }
fn to4(x: vec4<u32>) -> vec4<u32> { return x; }
fn to2(x: vec4<u32>) -> vec2<u32> { return x.xy ^ x.zw; }
fn to1(x: vec4<u32>) -> u32 { return (x.x ^ x.y) ^ (x.z ^ x.w); }
";
