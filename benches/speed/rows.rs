//! Tensors of rows as Gaussian splats have them, and the ways to do without them.

use std::error::Error;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, Buffer, ComputePass, ComputePipeline, ComputePipelineDescriptor,
    ShaderModuleDescriptor, ShaderSource,
};
use wgpu_adam::rows::{Active, Rows, SecondMoment};
use wgpu_adam::{Adam, Config, Group, Options, Tensor, View};

use crate::device::Gpu;
use crate::subject::{Subject, Time};

/// The widths of brush's tensors: transforms, spherical harmonics of degree 3, opacity.
pub const WIDTHS: [u32; 3] = [10, 48, 1];

/// The rows that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// There is no list: all rows are active.
    None,
    /// Every n-th row.
    Every(u32),
}

/// An optimizer of tensors of rows.
pub struct RowSteps<'a> {
    gpu: &'a Gpu,
    adam: Adam,
}

fn numbers(gpu: &Gpu, numbers: &[u32]) -> View {
    let buffer = gpu.buffer(numbers.len() as u64);
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(numbers));
    View::u32(&buffer)
}

/// An optimizer of a tensor of each width.
fn adam(gpu: &Gpu, widths: &[u32], rows: u64, second: SecondMoment, listed: Listed) -> Result<Adam, wgpu_adam::Error> {
    let tensor = |&width: &u32| {
        let active = match listed {
            Listed::None => Active::All,
            Listed::Every(n) => {
                let list: Vec<u32> = (0..rows as u32).step_by(n as usize).collect();
                Active::List { count: numbers(gpu, &[list.len() as u32]), indices: numbers(gpu, &list) }
            }
        };
        let len = rows * u64::from(width);
        let rows = Rows { second_moment: second, active, column_lr: vec![0.5; width as usize], ..Rows::new(width) };
        Tensor::f32(format!("columns{width}"), &gpu.filled(len), &gpu.filled(len)).with_rows(rows)
    };
    let group = Group::new(Config::default(), widths.iter().map(tensor).collect());
    Adam::new(&gpu.device, &gpu.queue, &[group], Options::default())
}

impl<'a> RowSteps<'a> {
    pub fn new(
        gpu: &'a Gpu,
        widths: &[u32],
        rows: u64,
        second: SecondMoment,
        listed: Listed,
    ) -> Result<Self, wgpu_adam::Error> {
        Ok(Self { gpu, adam: adam(gpu, widths, rows, second, listed)? })
    }
}

impl Subject for RowSteps<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_pass(|pass| {
            for _ in 0..steps {
                self.adam.step_in_pass(pass);
            }
        }))
    }
}

/// A kernel that copies as many words as `Moves` moves.
pub struct CopyKernel<'a> {
    gpu: &'a Gpu,
    pipeline: ComputePipeline,
    parts: Vec<(BindGroup, u32)>,
}

const COPY: &str = "
    @group(0) @binding(0) var<storage, read> from_words: array<vec4<u32>>;
    @group(0) @binding(1) var<storage, read_write> to_words: array<vec4<u32>>;
    @compute @workgroup_size(256)
    fn copy(@builtin(global_invocation_id) id: vec3<u32>) {
        let at = id.x * 4u;
        for (var i = at; i < min(at + 4u, arrayLength(&from_words)); i++) { to_words[i] = from_words[i]; }
    }";

impl<'a> CopyKernel<'a> {
    /// Copies `words`, in parts that fit in a binding.
    pub fn new(gpu: &'a Gpu, words: u64) -> Self {
        let source = ShaderSource::Wgsl(COPY.into());
        let module = gpu.device.create_shader_module(ShaderModuleDescriptor { label: Some("copy"), source });
        let pipeline = gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some("copy"),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let part = 1 << 24;
        let parts = (0..words / 4 * 4).step_by(part).map(|begin| {
            let len = (words / 4 * 4 - begin).min(part as u64);
            let buffers = [gpu.filled(len), gpu.filled(len)];
            let entries = (0..).zip(&buffers);
            let entries: Vec<BindGroupEntry> =
                entries.map(|(binding, b)| BindGroupEntry { binding, resource: b.as_entire_binding() }).collect();
            let layout = &pipeline.get_bind_group_layout(0);
            let bind_group = BindGroupDescriptor { label: None, layout, entries: &entries };
            (gpu.device.create_bind_group(&bind_group), len.div_ceil(16 * 256) as u32)
        });
        let parts = parts.collect();
        Self { gpu, pipeline, parts }
    }
}

impl Subject for CopyKernel<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_pass(|pass| {
            for _ in 0..steps {
                pass.set_pipeline(&self.pipeline);
                for (bind_group, workgroups) in &self.parts {
                    pass.set_bind_group(0, bind_group, &[]);
                    pass.dispatch_workgroups(*workgroups, 1, 1);
                }
            }
        }))
    }
}

/// Prunes a tenth of the rows and clones another tenth, with all state.
pub struct Moves<'a> {
    gpu: &'a Gpu,
    adam: Adam,
    source: View,
}

impl<'a> Moves<'a> {
    pub fn new(gpu: &'a Gpu, rows: u64) -> Result<Self, wgpu_adam::Error> {
        let adam = adam(gpu, &WIDTHS, rows, SecondMoment::Elementwise, Listed::None)?;
        // The last of each ten rows is pruned, and the first is cloned into the rows that are left at the end.
        let kept = (0..rows as u32).filter(|row| row % 10 != 9);
        let cloned = (0..rows as u32).step_by(10);
        let source: Vec<u32> = kept.chain(cloned).take(rows as usize).collect();
        Ok(Self { gpu, adam, source: numbers(gpu, &source) })
    }
}

impl Subject for Moves<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        let mut moved = Ok(());
        let time = self.gpu.time_copies(|encoder| {
            for _ in 0..steps {
                for width in WIDTHS {
                    let gathered = self.adam.gather(encoder, &format!("columns{width}"), &self.source);
                    moved = moved.clone().and(gathered);
                }
            }
        });
        moved?;
        Ok(time)
    }
}

/// What libraries without rows do: gather the active rows of param, grad, m and v into dense buffers, step these, and
/// scatter param, m and v.
pub struct GatherScatter<'a> {
    gpu: &'a Gpu,
    adam: Adam,
    gather: ComputePipeline,
    scatter: ComputePipeline,
    /// For each buffer and each width: the way in, the way out unless it is a gradient, and the workgroups.
    copies: Vec<(BindGroup, Option<BindGroup>, u32)>,
}

const WGSL: &str = "
    @group(0) @binding(0) var<storage, read> list: array<u32>;
    @group(0) @binding(1) var<storage, read> width: array<u32>;
    @group(0) @binding(2) var<storage, read> from_rows: array<u32>;
    @group(0) @binding(3) var<storage, read_write> to_rows: array<u32>;
    fn place(id: vec3<u32>, workgroups: vec3<u32>) -> u32 { return id.y * workgroups.x * 256u + id.x; }
    @compute @workgroup_size(256)
    fn gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
        let i = place(id, workgroups);
        if i < arrayLength(&list) * width[0] { to_rows[i] = from_rows[list[i / width[0]] * width[0] + i % width[0]]; }
    }
    @compute @workgroup_size(256)
    fn scatter(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
        let i = place(id, workgroups);
        if i < arrayLength(&list) * width[0] { to_rows[list[i / width[0]] * width[0] + i % width[0]] = from_rows[i]; }
    }";

impl<'a> GatherScatter<'a> {
    pub fn new(gpu: &'a Gpu, rows: u64, every: u32) -> Result<Self, wgpu_adam::Error> {
        let list: Vec<u32> = (0..rows as u32).step_by(every as usize).collect();
        let indices = numbers(gpu, &list).buffer;
        let module = gpu.device.create_shader_module(ShaderModuleDescriptor {
            label: Some("gather and scatter"),
            source: ShaderSource::Wgsl(WGSL.into()),
        });
        let pipeline = |entry_point| {
            gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(entry_point),
                layout: None,
                module: &module,
                entry_point: Some(entry_point),
                compilation_options: Default::default(),
                cache: None,
            })
        };
        let [gather, scatter] = ["gather", "scatter"].map(pipeline);
        let (mut copies, mut tensors) = (Vec::new(), Vec::new());
        // The harmonics are halved, since bindings have limits.
        for width in [10, 24, 24, 1] {
            let (all, some) = (rows * u64::from(width), list.len() as u64 * u64::from(width));
            let of_width = numbers(gpu, &[width]).buffer;
            let bind = |pipeline: &ComputePipeline, from: &Buffer, to: &Buffer| {
                let buffers = [&indices, &of_width, from, to];
                let entries = (0..).zip(buffers);
                let entries: Vec<BindGroupEntry> =
                    entries.map(|(binding, b)| BindGroupEntry { binding, resource: b.as_entire_binding() }).collect();
                let layout = &pipeline.get_bind_group_layout(0);
                gpu.device.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries })
            };
            let dense: Vec<Buffer> = (0..4).map(|_| gpu.filled(some)).collect();
            for (i, dense) in dense.iter().enumerate() {
                let whole = gpu.filled(all);
                let out = (i != 1).then(|| bind(&scatter, dense, &whole));
                copies.push((bind(&gather, &whole, dense), out, some.div_ceil(256) as u32));
            }
            // Its own moments stand for those that were gathered.
            tensors.push(Tensor::f32(format!("tensor{}", tensors.len()), &dense[0], &dense[1]));
        }
        let adam = Adam::new(&gpu.device, &gpu.queue, &[Group::new(Config::default(), tensors)], Options::default())?;
        Ok(Self { gpu, adam, gather, scatter, copies })
    }

    fn copy(&self, pass: &mut ComputePass, out: bool) {
        pass.set_pipeline(if out { &self.scatter } else { &self.gather });
        for (gather, scatter, workgroups) in &self.copies {
            let Some(bind_group) = (if out { scatter.as_ref() } else { Some(gather) }) else { continue };
            pass.set_bind_group(0, bind_group, &[]);
            let rows = workgroups.div_ceil(65_535);
            pass.dispatch_workgroups(workgroups.div_ceil(rows), rows, 1);
        }
    }
}

impl Subject for GatherScatter<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_pass(|pass| {
            for _ in 0..steps {
                self.copy(pass, false);
                self.adam.step_in_pass(pass);
                self.copy(pass, true);
            }
        }))
    }
}
