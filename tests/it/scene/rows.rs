//! Scenes of one tensor of rows, on the GPU and on the twin side by side.

use wgpu::Buffer;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::probe::Insight;
use wgpu_adam::rows::{Active, GradRows, Rows};
use wgpu_adam::{Adam, Config, Dtype, Error, Group, GroupClip, Options, Precision, Probe, Report, Tensor, View, cpu};

use super::gpu::Gpu;
use super::mix;
use super::stored::{Numbers, normals};

/// A tensor of rows, its optimizer, and what each step gets.
#[derive(Clone, Debug)]
pub struct Scene {
    pub rows: Rows<()>,
    pub count: usize,
    /// The rows of compact gradients.
    pub grad_rows: usize,
    pub formats: (Dtype, Dtype),
    pub precision: Precision,
    pub config: Config,
    pub options: Options,
    pub group_clip: Option<GroupClip>,
    /// The elements before the first param, gradient and number beside them in their buffers.
    pub skip: (usize, usize, usize),
}

impl Scene {
    pub fn new(width: u32, count: usize) -> Self {
        Self {
            rows: Rows::new(width),
            count,
            grad_rows: count.div_ceil(2),
            formats: (Dtype::F32, Dtype::F32),
            precision: Precision::default(),
            config: Config { lr: 0.01, ..Config::default() },
            options: Options::default(),
            group_clip: None,
            skip: (0, 0, 0),
        }
    }

    pub fn with(self, change: impl FnOnce(&mut Rows<()>)) -> Self {
        let mut scene = self;
        change(&mut scene.rows);
        scene
    }

    pub fn len(&self) -> usize {
        self.count * self.rows.width as usize
    }

    pub fn grad_len(&self) -> usize {
        let compact = matches!(self.rows.grad_rows, GradRows::Compact { .. });
        if compact { self.grad_rows * self.rows.width as usize } else { self.len() }
    }

    pub fn grad_scale(&self) -> f32 {
        if self.formats.1 == Dtype::I32 { 1e-4 } else { 1.0 }
    }

    pub fn start<'a>(&self, gpu: &'a Gpu) -> Run<'a> {
        self.try_start(gpu).unwrap()
    }

    pub fn try_start<'a>(&self, gpu: &'a Gpu) -> Result<Run<'a>, Error> {
        let image = |dtype, skip: usize, len: usize, seed| {
            let numbers = Numbers::new(dtype, self.grad_scale(), &normals(seed, 7, skip + len + 3));
            numbers.words()
        };
        let params = image(self.formats.0, self.skip.0, self.len(), 1);
        let grads = image(self.formats.1, self.skip.1, self.grad_len(), 2);
        let beside = vec![0.0; self.skip.2 + 2 * self.count + 9];
        let buffers = Buffers {
            param: gpu.buffer(&params),
            grad: gpu.buffer(&grads),
            beside: std::array::from_fn(|_| gpu.buffer(&beside)),
        };
        let view = |buffer: &Buffer, dtype, skip: usize, len: usize| {
            View::new(buffer, dtype).slice(skip as u64..(skip + len) as u64)
        };
        let [row_lr, active, count, inverse] = &buffers.beside;
        let u32s = |buffer, len| view(buffer, Dtype::U32, self.skip.2, len);
        let rows = Rows {
            width: self.rows.width,
            column_lr: self.rows.column_lr.clone(),
            row_lr: self.rows.row_lr.map(|()| view(row_lr, Dtype::F32, self.skip.2, self.count)),
            second_moment: self.rows.second_moment,
            active: match self.rows.active {
                Active::All => Active::All,
                Active::Mask(()) => Active::Mask(u32s(active, self.count)),
                Active::Bits(()) => Active::Bits(u32s(active, self.count.div_ceil(32))),
                Active::First(()) => Active::First(u32s(count, 1)),
                Active::List { .. } => Active::List { indices: u32s(active, self.count), count: u32s(count, 1) },
            },
            steps: self.rows.steps,
            grad_rows: match self.rows.grad_rows {
                GradRows::Dense => GradRows::Dense,
                GradRows::Compact { .. } => GradRows::Compact { inverse: u32s(inverse, self.count) },
            },
        };
        let param = view(&buffers.param, self.formats.0, self.skip.0, self.len());
        let grad = view(&buffers.grad, self.formats.1, self.skip.1, self.grad_len());
        let tensor = Tensor::new("rows", param, grad).with_grad_scale(self.grad_scale()).with_rows(rows);
        // Another tensor, so that norms and batches are shared.
        let plain = Tensor::f32("plain", &gpu.buffer(&normals(3, 1, 100)), &gpu.buffer(&normals(3, 2, 100)));
        let group = Group::new(self.config.clone(), vec![plain, tensor]);
        let group = Group { clip: self.group_clip, ..group };
        let options = Options { precision: self.precision.clone(), ..self.options.clone() };
        let adam = Adam::new(&gpu.device, &gpu.queue, &[group], options)?;
        let twin = adam.to_cpu();
        let plain = (normals(3, 1, 100), normals(3, 2, 100));
        Ok(Run {
            scene: self.clone(),
            gpu,
            buffers,
            adam,
            twin,
            params,
            grads,
            inputs: Inputs::default(),
            plain,
            steps: 0,
        })
    }
}

pub struct Buffers {
    pub param: Buffer,
    pub grad: Buffer,
    /// The factors of rows, the active rows, the count of the list, the places of gradients.
    pub beside: [Buffer; 4],
}

/// What a step of rows gets.
#[derive(Default)]
pub struct Inputs {
    pub row_lr: Vec<f32>,
    pub active: Vec<u32>,
    pub inverse: Vec<u32>,
}

pub struct Run<'a> {
    pub scene: Scene,
    pub gpu: &'a Gpu,
    pub buffers: Buffers,
    pub adam: Adam,
    pub twin: cpu::Adam,
    /// Images of the buffers.
    pub params: Vec<f32>,
    pub grads: Vec<f32>,
    pub plain: (Vec<f32>, Vec<f32>),
    pub inputs: Inputs,
    pub steps: u64,
}

impl Run<'_> {
    /// A number below `bound` that depends on the step and two numbers.
    pub fn random(&self, stream: u64, i: usize, bound: u64) -> u64 {
        mix(mix(self.steps << 8 ^ stream) ^ i as u64) % bound
    }

    /// Makes new gradients, rates, masks, lists and places.
    pub fn fresh(&mut self) {
        self.steps += 1;
        let Scene { count, grad_rows, .. } = self.scene;
        let values: Vec<f32> = (normals(10 + self.steps, 4, self.scene.grad_len()).into_iter().enumerate())
            .map(|(e, g)| g * 10f32.powi((mix(e as u64) % 6) as i32 - 4))
            .collect();
        Numbers::new(self.scene.formats.1, self.scene.grad_scale(), &values).put(&mut self.grads, self.scene.skip.1);
        self.inputs.row_lr = (0..count).map(|row| self.random(1, row, 8) as f32 / 4.0).collect();
        let is_active: Vec<bool> = (0..count).map(|row| self.random(2, row, 3) > 0).collect();
        self.inputs.active = match self.scene.rows.active {
            Active::All => Vec::new(),
            Active::Mask(()) => (0..count).map(|row| if is_active[row] { 1 + row as u32 } else { 0 }).collect(),
            Active::Bits(()) => (is_active.chunks(32))
                .map(|bits| bits.iter().enumerate().fold(0, |word, (i, bit)| word | u32::from(*bit) << i))
                .collect(),
            Active::First(()) => vec![self.random(6, 0, count as u64 + 3) as u32],
            // In an order of its own, with a number that is of no row.
            Active::List { .. } => {
                let mut list: Vec<u32> = (0..count as u32).filter(|row| is_active[*row as usize]).collect();
                list.sort_by_key(|row| self.random(3, *row as usize, 1 << 30));
                if list.len() < count {
                    list.insert(list.len() / 2, count as u32 + 5);
                }
                list
            }
        };
        // Each gradient is of at most one row.
        let shift = self.random(4, 0, 7) as u32;
        self.inputs.inverse = (0..count as u32)
            .map(|row| if row % 2 == 0 { (row / 2 + shift) % grad_rows as u32 } else { u32::MAX })
            .collect();
        if self.scene.options.zero_grad || self.random(5, 0, 2) == 0 {
            return;
        }
        // But rows may share one.
        self.inputs.inverse.fill(0);
    }

    pub fn upload(&self) {
        let bits = |numbers: &[u32]| numbers.iter().map(|x| f32::from_bits(*x)).collect::<Vec<f32>>();
        let Inputs { row_lr, active, inverse } = &self.inputs;
        let first = matches!(self.scene.rows.active, Active::First(()));
        let count = if first { active.clone() } else { vec![active.len() as u32] };
        let beside = [row_lr.clone(), bits(active), bits(&count), bits(inverse)];
        for (buffer, numbers) in self.buffers.beside.iter().zip(beside) {
            if !numbers.is_empty() {
                let offset = 4 * self.scene.skip.2 as u64;
                self.gpu.queue.write_buffer(buffer, offset, bytemuck::cast_slice(&numbers));
            }
        }
        self.gpu.write(&self.buffers.grad, &self.grads);
    }

    pub fn twin_step(&mut self) -> Report {
        self.twin_step_by(|adam, tensors| adam.step(tensors))
    }

    /// Makes the twin's step with another method.
    fn twin_step_by<T>(&mut self, step: impl FnOnce(&mut cpu::Adam, &mut [cpu::TensorMut]) -> Result<T, Error>) -> T {
        let Scene { formats, skip, .. } = self.scene;
        let (len, grad_len, scale) = (self.scene.len(), self.scene.grad_len(), self.scene.grad_scale());
        let mut param = Numbers::of(&self.params, formats.0, 1.0, skip.0, len);
        let mut grad = Numbers::of(&self.grads, formats.1, scale, skip.1, grad_len);
        let Inputs { row_lr, active, inverse } = &self.inputs;
        let inputs = cpu::RowInputs { row_lr, active, inverse };
        let (plain, plain_grad) = &mut self.plain;
        let rows = cpu::TensorMut::new(param.slot(), grad.slot()).with_rows(inputs);
        let result = step(&mut self.twin, &mut [cpu::TensorMut::new(plain, plain_grad), rows]).unwrap();
        param.put(&mut self.params, skip.0);
        grad.put(&mut self.grads, skip.1);
        result
    }

    pub fn step(&mut self) {
        self.fresh();
        self.upload();
        self.gpu.step(&self.adam);
        self.twin_step();
    }

    /// Returns the first difference, if any. Every bit must be equal on a CPU adapter, also outside the views. On others,
    /// params in f32 are close.
    pub fn difference(&self) -> Option<String> {
        let (gpu, scene) = (self.gpu, &self.scene);
        let (params, grads) = (gpu.read(&self.buffers.param), gpu.read(&self.buffers.grad));
        if !gpu.software || gpu.flushes {
            let close = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-5 + 1e-3 * want.abs();
            let f32s = scene.formats == (Dtype::F32, Dtype::F32) && scene.precision.state == StateDtype::F32;
            let far = f32s && !params.iter().zip(&self.params).all(close);
            return far.then(|| format!("params in f32: {scene:?}"));
        }
        let differing = |what: &str, got: &[f32], want: &[f32]| {
            let i = (0..want.len()).find(|&i| got[i].to_bits() != want[i].to_bits())?;
            Some(format!("{what} [{i}]: {:e} for {:e}: {scene:?}", got[i], want[i]))
        };
        let words = differing("words of params", &params, &self.params);
        if let Some(difference) = words.or_else(|| differing("words of grads", &grads, &self.grads)) {
            return Some(difference);
        }
        let (got, want) = (gpu.state(&self.adam), self.twin.state());
        let states = got.tensors.iter().zip(&want.tensors).flat_map(|(got, want)| got.state.iter().zip(&want.state));
        if let Some((got, want)) = { states }.find(|(got, want)| got != want) {
            let name = got.kind.name();
            return Some(
                differing(name, &got.values(), &want.values()).unwrap_or_else(|| format!("{name}: {scene:?}")),
            );
        }
        if got != want {
            return Some(format!("the state: {scene:?}"));
        }
        let (got, want) = (gpu.report(&self.adam), self.twin.report());
        let counts =
            |report: &Report| (report.t, report.skipped, report.nonfinite_tensor.clone(), report.groups.clone());
        let norm = |report: &Report| report.grad_norm.map(f32::to_bits);
        let same = norm(&got) == norm(&want) && counts(&got) == counts(&want);
        (!same).then(|| format!("{got:?} for {want:?}: {scene:?}"))
    }

    /// Makes one measured step on both sides, and returns both measurements.
    pub fn measured_step(&mut self) -> (Insight, Insight) {
        self.fresh();
        self.upload();
        let probe = Probe::new(&self.adam).unwrap();
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        probe.step(&self.adam, &mut encoder).unwrap();
        self.gpu.queue.submit([encoder.finish()]);
        let got = pollster::block_on(probe.read(&self.adam)).unwrap();
        (got, self.twin_step_by(|adam, tensors| adam.step_measured(tensors)).1)
    }

    pub fn assert_same(&self) {
        if let Some(difference) = self.difference() {
            panic!("{difference}");
        }
    }
}

impl Run<'_> {
    /// Moves the state of rows on both sides.
    pub fn gather(&mut self, source: &[u32]) {
        let bits: Vec<f32> = source.iter().map(|x| f32::from_bits(*x)).collect();
        let buffer = self.gpu.buffer(&bits);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.adam.gather(&mut encoder, "rows", &View::u32(&buffer)).unwrap();
        self.gpu.queue.submit([encoder.finish()]);
        self.twin.gather("rows", source).unwrap();
    }

    pub fn zero_rows(&mut self, indices: &[u32], count: u32) {
        let bits: Vec<f32> = indices.iter().map(|x| f32::from_bits(*x)).collect();
        let [indices_buffer, count_buffer] = [&bits[..], &[f32::from_bits(count)]].map(|words| self.gpu.buffer(words));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.adam.zero_rows(&mut encoder, "rows", &View::u32(&indices_buffer), &View::u32(&count_buffer)).unwrap();
        self.gpu.queue.submit([encoder.finish()]);
        self.twin.zero_rows("rows", &indices[..(count as usize).min(indices.len())]).unwrap();
    }
}

pub fn actives() -> [Active<()>; 5] {
    [Active::All, Active::Mask(()), Active::Bits(()), Active::First(()), Active::List { indices: (), count: () }]
}

pub fn compact() -> GradRows<()> {
    GradRows::Compact { inverse: () }
}
