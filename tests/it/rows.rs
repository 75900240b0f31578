//! Tensors of rows: GPU and CPU agree over widths, formats, masks, lists and gradients of some rows; both agree with
//! float64; and runs are saved and resumed.

use proptest::prelude::*;
use wgpu::Buffer;
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::rows::{Active, GradRows, RowSteps, Rows, SecondMoment};
use wgpu_adam::{Adam, Clip, Config, Decay, Dtype, Error, Group, Options, Precision, Report, State, Tensor, View, cpu};

use crate::sampling::{proptest_cases, sample};
use crate::scene::precisions::{GRADS, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Numbers, mix, normals};

/// A tensor of rows, its optimizer, and what each step gets.
#[derive(Clone, Debug)]
struct Scene {
    rows: Rows<()>,
    count: usize,
    /// The rows of compact gradients.
    grad_rows: usize,
    formats: (Dtype, Dtype),
    precision: Precision,
    config: Config,
    options: Options,
    /// The elements before the first param, gradient and number beside them in their buffers.
    skip: (usize, usize, usize),
}

impl Scene {
    fn new(width: u32, count: usize) -> Self {
        Self {
            rows: Rows::new(width),
            count,
            grad_rows: count.div_ceil(2),
            formats: (Dtype::F32, Dtype::F32),
            precision: Precision::default(),
            config: Config { lr: 0.01, ..Config::default() },
            options: Options::default(),
            skip: (0, 0, 0),
        }
    }

    fn with(self, change: impl FnOnce(&mut Rows<()>)) -> Self {
        let mut scene = self;
        change(&mut scene.rows);
        scene
    }

    fn len(&self) -> usize {
        self.count * self.rows.width as usize
    }

    fn grad_len(&self) -> usize {
        let compact = matches!(self.rows.grad_rows, GradRows::Compact { .. });
        if compact { self.grad_rows * self.rows.width as usize } else { self.len() }
    }

    fn grad_scale(&self) -> f32 {
        if self.formats.1 == Dtype::I32 { 1e-4 } else { 1.0 }
    }

    fn start<'a>(&self, gpu: &'a Gpu) -> Run<'a> {
        self.try_start(gpu).unwrap()
    }

    fn try_start<'a>(&self, gpu: &'a Gpu) -> Result<Run<'a>, Error> {
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

struct Buffers {
    param: Buffer,
    grad: Buffer,
    /// The factors of rows, the active rows, the count of the list, the places of gradients.
    beside: [Buffer; 4],
}

/// What a step of rows gets.
#[derive(Default)]
struct Inputs {
    row_lr: Vec<f32>,
    active: Vec<u32>,
    inverse: Vec<u32>,
}

struct Run<'a> {
    scene: Scene,
    gpu: &'a Gpu,
    buffers: Buffers,
    adam: Adam,
    twin: cpu::Adam,
    /// Images of the buffers.
    params: Vec<f32>,
    grads: Vec<f32>,
    plain: (Vec<f32>, Vec<f32>),
    inputs: Inputs,
    steps: u64,
}

impl Run<'_> {
    /// A number below `bound` that depends on the step and two numbers.
    fn random(&self, stream: u64, i: usize, bound: u64) -> u64 {
        mix(mix(self.steps << 8 ^ stream) ^ i as u64) % bound
    }

    /// Makes new gradients, rates, masks, lists and places.
    fn fresh(&mut self) {
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

    fn upload(&self) {
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

    fn twin_step(&mut self) {
        let Scene { formats, skip, .. } = self.scene;
        let (len, grad_len, scale) = (self.scene.len(), self.scene.grad_len(), self.scene.grad_scale());
        let mut param = Numbers::of(&self.params, formats.0, 1.0, skip.0, len);
        let mut grad = Numbers::of(&self.grads, formats.1, scale, skip.1, grad_len);
        let Inputs { row_lr, active, inverse } = &self.inputs;
        let inputs = cpu::RowInputs { row_lr, active, inverse };
        let (plain, plain_grad) = &mut self.plain;
        let rows = cpu::TensorMut::new(param.slot(), grad.slot()).with_rows(inputs);
        self.twin.step(&mut [cpu::TensorMut::new(plain, plain_grad), rows]).unwrap();
        param.put(&mut self.params, skip.0);
        grad.put(&mut self.grads, skip.1);
    }

    fn step(&mut self) {
        self.fresh();
        self.upload();
        self.gpu.step(&self.adam);
        self.twin_step();
    }

    /// Every bit is equal on a CPU adapter, also outside the views. On others, params in f32 are close.
    fn assert_same(&self) {
        let (gpu, scene) = (self.gpu, &self.scene);
        let (params, grads) = (gpu.read(&self.buffers.param), gpu.read(&self.buffers.grad));
        if !gpu.software || gpu.flushes {
            let close = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-5 + 1e-3 * want.abs();
            let f32s = scene.formats == (Dtype::F32, Dtype::F32) && scene.precision.state == StateDtype::F32;
            assert!(!f32s || params.iter().zip(&self.params).all(close), "{scene:?}");
            return;
        }
        let differing = |got: &[f32], want: &[f32]| (0..want.len()).find(|&i| got[i].to_bits() != want[i].to_bits());
        if let Some(i) = differing(&params, &self.params) {
            panic!("param word {i}: {} for {}: {scene:?}", params[i], self.params[i]);
        }
        if let Some(i) = differing(&grads, &self.grads) {
            panic!("grad word {i}: {} for {}: {scene:?}", grads[i], self.grads[i]);
        }
        let (got, want) = (gpu.state(&self.adam), self.twin.state());
        for (got, want) in got.tensors.iter().zip(&want.tensors) {
            for (got_state, want_state) in got.state.iter().zip(&want.state) {
                let (a, b) = (got_state.values(), want_state.values());
                let at = (0..b.len()).find(|&i| a[i].to_bits() != b[i].to_bits());
                let at = at.map(|i| (i, a[i], b[i]));
                assert!(got_state == want_state, "{} {:?} {at:?}: {scene:?}", got.name, got_state.kind);
            }
        }
        assert_eq!(got, want, "{scene:?}");
        let (got, want) = (gpu.report(&self.adam), self.twin.report());
        assert_eq!(got.grad_norm.map(f32::to_bits), want.grad_norm.map(f32::to_bits), "{scene:?}");
        let rest = |report: &Report| (report.t, report.skipped, report.nonfinite_tensor.clone(), report.groups.clone());
        assert_eq!(rest(&got), rest(&want), "{scene:?}");
    }
}

const WIDTHS: [u32; 13] = [1, 2, 3, 4, 7, 10, 16, 48, 59, 255, 256, 260, 1024];

fn actives() -> [Active<()>; 5] {
    [Active::All, Active::Mask(()), Active::Bits(()), Active::First(()), Active::List { indices: (), count: () }]
}

fn compact() -> GradRows<()> {
    GradRows::Compact { inverse: () }
}

#[test]
fn every_width_and_every_way_to_be_active() {
    let gpu = Gpu::new();
    for (width, active) in WIDTHS.into_iter().flat_map(|width| actives().map(|active| (width, active))) {
        for (i, second_moment) in
            [SecondMoment::Elementwise, SecondMoment::RowMean, SecondMoment::RowSum].into_iter().enumerate()
        {
            let mut scene = Scene::new(width, 301).with(|rows| {
                rows.active = active.clone();
                rows.second_moment = second_moment;
                rows.steps = if i == 1 { RowSteps::PerRow } else { RowSteps::Shared };
                rows.column_lr = if i == 0 { Vec::new() } else { (0..width).map(|j| f64::from(j % 5) / 2.0).collect() };
            });
            scene.options.clip = Clip::GlobalNorm(0.5);
            let mut run = scene.start(&gpu);
            (0..3).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

#[test]
fn every_format() {
    let gpu = Gpu::new();
    let all: Vec<_> = stored().flat_map(|stored| GRADS.map(|grad| (stored.clone(), grad))).collect();
    for (i, ((param, precision), grad)) in sample(all.into_iter().enumerate()) {
        for width in [3, 7, 16, 300] {
            let mut scene = Scene::new(width, 70).with(|rows| {
                rows.active = actives()[i % 5].clone();
                rows.steps = if i % 3 == 0 { RowSteps::PerRow } else { RowSteps::Shared };
                rows.second_moment = if i % 2 == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.grad_rows = if i % 5 == 0 { compact() } else { GradRows::Dense };
                rows.row_lr = (i % 7 == 0).then_some(());
            });
            scene.formats = (param, grad);
            scene.precision = precision.clone();
            scene.options = Options { clip: Clip::GlobalNorm(0.5), zero_grad: i % 2 == 1, ..Options::default() };
            let mut run = scene.start(&gpu);
            (0..3).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

#[test]
fn every_variant_that_rows_allow() {
    let gpu = Gpu::new();
    for config in variants() {
        for (second_moment, steps) in [
            (SecondMoment::Elementwise, RowSteps::Shared),
            (SecondMoment::Elementwise, RowSteps::PerRow),
            (SecondMoment::RowMean, RowSteps::Shared),
            (SecondMoment::RowSum, RowSteps::PerRow),
        ] {
            let mut scene = Scene::new(10, 33).with(|rows| {
                (rows.second_moment, rows.steps, rows.active) = (second_moment, steps, Active::Mask(()));
                rows.row_lr = Some(());
            });
            scene.config = config.clone();
            let mut run = match scene.try_start(&gpu) {
                Ok(run) => run,
                Err(Error::Rows { reason, .. }) => {
                    assert!(reason.contains("needs a"), "{reason}");
                    continue;
                }
                Err(other) => panic!("{other}"),
            };
            (0..4).for_each(|_| run.step());
            run.assert_same();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_that_rows_can_be(
        width in prop_oneof![1..12_u32, 1..100_u32, 1..1025_u32], count in 1..400_usize, active in 0..5_usize,
        second in 0..3_usize, flags: [bool; 8], format in 0..1000_usize, skip in (0..9_usize, 0..9_usize, 0..70_usize),
        decay in prop_oneof![Just(Decay::None), Just(Decay::Decoupled(0.1)), Just(Decay::L2(0.1)), Just(Decay::Cautious(0.1))],
    ) {
        let [per_row, compact_grads, row_lr, columns, zero_grad, clip, guard, uncorrected] = flags;
        let gpu = Gpu::new();
        let all: Vec<_> = stored().flat_map(|stored| GRADS.map(|grad| (stored.clone(), grad))).collect();
        let ((param, precision), grad) = all[format % all.len()].clone();
        let mut scene = Scene::new(width, count).with(|rows| {
            rows.active = actives()[active].clone();
            rows.second_moment = [SecondMoment::Elementwise, SecondMoment::RowMean, SecondMoment::RowSum][second];
            rows.steps = if per_row { RowSteps::PerRow } else { RowSteps::Shared };
            rows.grad_rows = if compact_grads { compact() } else { GradRows::Dense };
            rows.row_lr = row_lr.then_some(());
            rows.column_lr = if columns { (0..width).map(|j| f64::from(j % 3)).collect() } else { Vec::new() };
        });
        scene.formats = if format % 3 == 0 { (Dtype::F32, Dtype::F32) } else { (param, grad) };
        scene.precision = if format % 3 == 0 { Precision::default() } else { precision };
        scene.skip = skip;
        scene.config = Config { decay, bias_correction: !uncorrected, ..scene.config };
        scene.options = Options {
            clip: if clip { Clip::GlobalNorm(0.1) } else { Clip::Value(0.5) },
            skip_nonfinite: guard,
            zero_grad,
            ..Options::default()
        };
        let mut run = scene.start(&gpu);
        (0..3).for_each(|_| run.step());
        run.assert_same();
    }
}

/// One step of a row in float64.
struct Row {
    m: Vec<f64>,
    v: Vec<f64>,
    t: i32,
}

impl Row {
    fn step(
        &mut self,
        config: &Config,
        second: SecondMoment,
        param: &mut [f64],
        g: &[f64],
        rate: impl Fn(usize) -> f64,
    ) {
        self.t += 1;
        let square: f64 = g.iter().map(|g| g * g).sum();
        let mean = if second == SecondMoment::RowMean { square / g.len() as f64 } else { square };
        for j in 0..g.len() {
            let square = if second == SecondMoment::Elementwise { g[j] * g[j] } else { mean };
            self.m[j] = config.beta1 * self.m[j] + (1.0 - config.beta1) * g[j];
            self.v[j] = config.beta2 * self.v[j] + (1.0 - config.beta2) * square;
            let (m_hat, v_hat) =
                (self.m[j] / (1.0 - config.beta1.powi(self.t)), self.v[j] / (1.0 - config.beta2.powi(self.t)));
            param[j] -= config.lr * rate(j) * m_hat / (v_hat.sqrt() + config.eps);
        }
    }
}

/// What PyTorch's `SparseAdam` does wrong is right here: a row that is rarely active takes steps as large as any.
#[test]
fn rows_agree_with_float64_and_count_their_own_steps() {
    let gpu = Gpu::new();
    for (width, second) in [(10, SecondMoment::Elementwise), (48, SecondMoment::RowMean), (7, SecondMoment::RowSum)] {
        let columns: Vec<f64> = (0..width).map(|j| 0.5 + f64::from(j) / 8.0).collect();
        let scene = Scene::new(width, 90).with(|rows| {
            rows.active = Active::List { indices: (), count: () };
            (rows.steps, rows.second_moment) = (RowSteps::PerRow, second);
            (rows.row_lr, rows.column_lr) = (Some(()), columns.clone());
        });
        let wide = width as usize;
        let mut run = scene.start(&gpu);
        let mut params: Vec<f64> = run.params[..scene.len()].iter().map(|x| f64::from(*x)).collect();
        let mut rows: Vec<Row> =
            (0..scene.count).map(|_| Row { m: vec![0.0; wide], v: vec![0.0; wide], t: 0 }).collect();
        for _ in 0..30 {
            run.fresh();
            // The first row is active once, after 20 steps of the others.
            run.inputs.active.retain(|row| *row != 0);
            if run.steps == 20 {
                run.inputs.active.push(0);
            }
            run.upload();
            gpu.step(&run.adam);
            for &row in run.inputs.active.iter().filter(|row| (**row as usize) < scene.count) {
                let at = row as usize * wide..(row as usize + 1) * wide;
                let g: Vec<f64> = run.grads[at.clone()].iter().map(|g| f64::from(*g)).collect();
                let rate = |j: usize| columns[j] * f64::from(run.inputs.row_lr[row as usize]);
                rows[row as usize].step(&run.scene.config, second, &mut params[at], &g, rate);
            }
        }
        let got = gpu.read(&run.buffers.param);
        for (i, (got, want)) in got.iter().zip(&params).enumerate() {
            assert!((f64::from(*got) - want).abs() < 2e-6, "param {i}: {got} for {want}");
        }
        let state = gpu.state(&run.adam);
        let steps = state.tensors.iter().find(|tensor| tensor.name == "rows").unwrap().row_steps();
        assert_eq!(steps, rows.iter().map(|row| row.t as u32).collect::<Vec<_>>());
        assert_eq!(steps[0], 1);
    }
}

#[test]
fn a_run_is_saved_and_resumed_on_both_sides() {
    let gpu = Gpu::new();
    for (width, state) in
        [(10, StateDtype::F32), (10, StateDtype::Block8), (300, StateDtype::Block8), (7, StateDtype::Bf16)]
    {
        let mut scene = Scene::new(width, 77).with(|rows| {
            (rows.active, rows.steps) = (Active::Mask(()), RowSteps::PerRow);
            rows.second_moment = SecondMoment::RowMean;
        });
        scene.precision = Precision { state, state_min_len: 0, master: Master::F32, ..Precision::default() };
        scene.formats.0 = Dtype::Bf16;
        let mut run = scene.start(&gpu);
        (0..3).for_each(|_| run.step());
        let saved = State::from_bytes(&gpu.state(&run.adam).to_bytes().unwrap()).unwrap();
        let mut resumed = scene.start(&gpu);
        (resumed.params, resumed.grads, resumed.steps, resumed.plain) =
            (run.params.clone(), run.grads.clone(), run.steps, run.plain.clone());
        gpu.write(&resumed.buffers.param, &resumed.params);
        pollster::block_on(resumed.adam.load_state(&saved)).unwrap();
        resumed.twin.load_state(&saved).unwrap();
        for _ in 0..2 {
            run.step();
            resumed.step();
        }
        run.assert_same();
        resumed.assert_same();
        assert_eq!(run.params, resumed.params);
    }
}

#[test]
fn factors_of_columns_change_in_mid_run() {
    let gpu = Gpu::new();
    let scene = Scene::new(10, 40);
    let mut run = scene.start(&gpu);
    run.step();
    let factors: Vec<f64> = (0..10).map(f64::from).collect();
    run.adam.set_column_lr("rows", &factors).unwrap();
    run.twin.set_column_lr("rows", &factors).unwrap();
    let before = run.params.clone();
    run.step();
    run.assert_same();
    assert_eq!(before[0], run.params[0], "column 0 has the factor 0");
    assert_ne!(before[1], run.params[1]);
    let wrong = run.adam.set_column_lr("rows", &[1.0]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `rows`: column_lr has 1 factors, but a row has 10 columns");
    let wrong = run.adam.set_column_lr("plain", &[1.0]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `plain`: it is no tensor of rows");
    run.adam.set_config(0, Config { beta2: 0.9, ..run.scene.config.clone() }).unwrap();
    run.twin.set_config(0, Config { beta2: 0.9, ..run.scene.config.clone() }).unwrap();
    run.step();
    run.assert_same();
}

#[test]
fn gradients_of_inactive_rows_are_not_read() {
    let gpu = Gpu::new();
    for active in &actives()[1..] {
        let mut scene = Scene::new(10, 50).with(|rows| rows.active = active.clone());
        scene.options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
        let mut run = scene.start(&gpu);
        run.fresh();
        if matches!(active, Active::First(())) {
            run.inputs.active = vec![30];
        }
        let is_active = |row: usize| match active {
            Active::Mask(()) => run.inputs.active[row] != 0,
            Active::Bits(()) => run.inputs.active[row / 32] >> (row % 32) & 1 == 1,
            Active::First(()) => (row as u32) < run.inputs.active[0],
            _ => run.inputs.active.contains(&(row as u32)),
        };
        let inactive: Vec<usize> = (0..50).filter(|row| !is_active(*row)).collect();
        assert!(inactive.len() > 5 && inactive.len() < 45);
        for row in &inactive {
            run.grads[row * 10..(row + 1) * 10].fill(f32::NAN);
        }
        run.upload();
        gpu.step(&run.adam);
        run.twin_step();
        assert_eq!(gpu.report(&run.adam).skipped, 0);
        run.assert_same();
        // A NaN of an active row is found.
        let row = (0..50).find(|row| !inactive.contains(row)).unwrap();
        run.grads[row * 10 + 9] = f32::NAN;
        run.upload();
        gpu.step(&run.adam);
        run.twin_step();
        let report = gpu.report(&run.adam);
        assert_eq!((report.skipped, report.nonfinite_tensor.as_deref()), (1, Some("rows")));
        run.assert_same();
    }
}

impl Run<'_> {
    /// Moves the state of rows on both sides.
    fn gather(&mut self, source: &[u32]) {
        let bits: Vec<f32> = source.iter().map(|x| f32::from_bits(*x)).collect();
        let buffer = self.gpu.buffer(&bits);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.adam.gather(&mut encoder, "rows", &View::u32(&buffer)).unwrap();
        self.gpu.queue.submit([encoder.finish()]);
        self.twin.gather("rows", source).unwrap();
    }

    fn zero_rows(&mut self, indices: &[u32], count: u32) {
        let bits: Vec<f32> = indices.iter().map(|x| f32::from_bits(*x)).collect();
        let [indices_buffer, count_buffer] = [&bits[..], &[f32::from_bits(count)]].map(|words| self.gpu.buffer(words));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.adam.zero_rows(&mut encoder, "rows", &View::u32(&indices_buffer), &View::u32(&count_buffer)).unwrap();
        self.gpu.queue.submit([encoder.finish()]);
        self.twin.zero_rows("rows", &indices[..(count as usize).min(indices.len())]).unwrap();
    }
}

#[test]
fn rows_move_in_every_format() {
    let gpu = Gpu::new();
    let adagrad =
        variants().into_iter().find(|config| format!("{:?}", config.variant).contains("initial: 0.1")).unwrap();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        for width in [1, 7, 48, 300] {
            let mut scene = Scene::new(width, 90).with(|rows| {
                rows.second_moment = if i % 2 == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.steps = if i % 3 == 0 { RowSteps::PerRow } else { RowSteps::Shared };
            });
            (scene.formats.0, scene.precision) = (param, precision.clone());
            if i % 4 == 1 {
                scene.config = adagrad.clone();
            }
            let mut run = scene.start(&gpu);
            run.step();
            run.step();
            // Sorted, cloned, pruned and new rows, and a number of no row.
            let source: Vec<u32> = (0..90_u32)
                .map(|k| match k % 5 {
                    0 => 89 - k,
                    1 => k / 2,
                    2 => u32::MAX,
                    3 => 90 + k,
                    _ => k,
                })
                .collect();
            run.gather(&source);
            run.assert_same();
            run.step();
            run.assert_same();
            // Back to the first set of buffers, and rows that restart.
            run.gather(&source);
            run.zero_rows(&[3, 89, 500, 7, 8], 4);
            run.assert_same();
            run.step();
            run.assert_same();
        }
    }
}

#[test]
fn a_move_is_a_permutation_and_a_new_row_counts_from_the_beginning() {
    let gpu = Gpu::new();
    let mut run = Scene::new(10, 50).with(|rows| rows.steps = RowSteps::PerRow).start(&gpu);
    (0..3).for_each(|_| run.step());
    let of_rows = |run: &Run| gpu.state(&run.adam).tensors.into_iter().find(|tensor| tensor.name == "rows").unwrap();
    let before = of_rows(&run);
    let reversed: Vec<u32> = (0..50).rev().collect();
    run.gather(&reversed);
    let after = of_rows(&run);
    assert_eq!(before.m()[..10], after.m()[490..]);
    run.gather(&reversed);
    assert_eq!(of_rows(&run), before, "twice is not at all");
    let mut source: Vec<u32> = (0..50).collect();
    source[4] = u32::MAX;
    run.gather(&source);
    let state = of_rows(&run);
    assert_eq!((state.row_steps()[3..6].to_vec(), state.m()[40..50].to_vec()), (vec![3, 0, 3], vec![0.0; 10]));
    let errors = [
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "rows",
            &View::u32(&gpu.buffer(&[0.0; 3])),
        ),
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "plain",
            &View::u32(&gpu.buffer(&[0.0; 50])),
        ),
        run.adam.gather(
            &mut gpu.device.create_command_encoder(&Default::default()),
            "rows",
            &View::f32(&gpu.buffer(&[0.0; 50])),
        ),
    ];
    let errors = errors.map(|error| error.unwrap_err().to_string());
    assert_eq!(
        errors,
        [
            "tensor `rows`: source has 3 elements, but there are 50 rows",
            "tensor `plain`: it is no tensor of rows",
            "tensor `rows`: source is F32, but must be U32"
        ]
    );
}

#[test]
fn rows_are_added_and_removed_by_other_views() {
    let gpu = Gpu::new();
    for (state, width) in [(StateDtype::F32, 10), (StateDtype::Block8, 7), (StateDtype::Bf16, 300)] {
        let mut scene = Scene::new(width, 40).with(|rows| {
            (rows.steps, rows.second_moment) = (RowSteps::PerRow, SecondMoment::RowMean);
        });
        scene.precision = Precision { state, ..Precision::default() };
        let mut run = scene.start(&gpu);
        run.step();
        run.step();
        for count in [70, 20] {
            let mut next = run.scene.clone();
            next.count = count;
            let (param, grad) = (gpu.buffer(&normals(5, 5, next.len())), gpu.buffer(&normals(5, 6, next.len())));
            run.adam
                .rebind(Tensor::f32("rows", &param, &grad).with_rows(Rows {
                    steps: RowSteps::PerRow,
                    second_moment: SecondMoment::RowMean,
                    ..Rows::new(width)
                }))
                .unwrap();
            run.twin.rebind(cpu::Tensor::new("rows", next.len()).with_rows(next.rows.clone())).unwrap();
            (run.params, run.grads) = (gpu.read(&param), gpu.read(&grad));
            (run.buffers.param, run.buffers.grad, run.scene) = (param, grad, next);
            run.assert_same();
            run.step();
            run.assert_same();
        }
        let wrong = run.twin.rebind(cpu::Tensor::new("rows", 40)).unwrap_err().to_string();
        assert_eq!(wrong, "tensor `rows`: a tensor of rows must stay one");
        let wrong = run.twin.rebind(cpu::Tensor::new("plain", 40)).unwrap_err().to_string();
        assert_eq!(wrong, "tensor `plain`: its length is 40, but must stay 100");
    }
}

/// The limits are so small that a tensor is cut into several regions.
#[test]
fn rows_are_cut_at_small_limits() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 16 << 10, ..wgpu::Limits::default() };
    let gpu = Gpu::with(limits);
    for (width, active) in [7, 48, 300].into_iter().flat_map(|width| actives().map(|active| (width, active))) {
        for (i, state) in [StateDtype::F32, StateDtype::Block8].into_iter().enumerate() {
            let mut scene = Scene::new(width, 500).with(|rows| {
                rows.active = active.clone();
                rows.steps = RowSteps::PerRow;
                rows.second_moment = if i == 0 { SecondMoment::RowMean } else { SecondMoment::Elementwise };
                rows.row_lr = Some(());
            });
            scene.options.clip = Clip::GlobalNorm(0.5);
            scene.precision = Precision { state, ..Precision::default() };
            scene.skip = (3, 5, 7);
            let mut run = scene.start(&gpu);
            run.step();
            let source: Vec<u32> = (0..500_u32).map(|k| (k * 7) % 550).collect();
            run.gather(&source);
            run.zero_rows(&[1, 499, 77], 3);
            run.step();
            run.assert_same();
        }
    }
}

#[test]
fn mistakes_are_named() {
    let gpu = Gpu::new();
    let error = |scene: Scene| match scene.try_start(&gpu) {
        Ok(_) => panic!("{scene:?} is accepted"),
        Err(error) => error.to_string(),
    };
    let rows = |change: fn(&mut Rows<()>)| Scene::new(10, 5).with(change);
    assert_eq!(
        error(rows(|rows| rows.width = 0)),
        "tensor `rows`: its param view has length 0, but must have at least one element"
    );
    assert_eq!(
        error(rows(|rows| rows.column_lr = vec![1.0, 2.0])),
        "tensor `rows`: column_lr has 2 factors, but a row has 10 columns"
    );
    let mut negative = vec![1.0; 10];
    negative[3] = -1.0;
    assert_eq!(
        error(Scene::new(10, 5).with(|rows| rows.column_lr = negative)),
        "tensor `rows`: column_lr[3] is -1, but must be finite and not negative"
    );
    assert_eq!(error(Scene::new(1025, 2)), "tensor `rows`: the rows have 1025 elements, but must have 1 to 1024");
    let mut lion = rows(|rows| rows.second_moment = SecondMoment::RowMean);
    lion.config = variants().into_iter().find(|config| config.variant == wgpu_adam::Variant::Lion).unwrap();
    assert_eq!(error(lion), "tensor `rows`: RowMean needs a rule that averages the squares of the gradients, not Lion");
    let buffers = [40, 40, 4].map(|len| gpu.buffer(&vec![0.0; len]));
    let start = |rows: Rows, len: u64| {
        let view = |buffer| View::f32(buffer).slice(..len);
        let tensor = Tensor::new("rows", view(&buffers[0]), view(&buffers[1])).with_rows(rows);
        let groups = [Group::new(Config::default(), vec![tensor])];
        Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap_err().to_string()
    };
    assert_eq!(start(Rows::new(3), 40), "tensor `rows`: there are 40 elements, but rows of 3 need a multiple of 3");
    let masked = |view| Rows { active: Active::Mask(view), ..Rows::new(4) };
    assert_eq!(start(masked(View::f32(&buffers[2])), 16), "tensor `rows`: the mask is F32, but must be U32");
    assert_eq!(
        start(masked(View::u32(&buffers[2])), 40),
        "tensor `rows`: the mask has 4 elements, but 10 rows need 10"
    );
    assert_eq!(
        start(masked(View::u32(&buffers[0]).slice(..4)), 16),
        "tensor `rows`: the mask must be in another buffer than param and grad"
    );
    let adam = cpu::Tensor::new("w", 4).with_rows(Rows { active: Active::Mask(()), ..Rows::new(2) });
    let mut adam = cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![adam])], Options::default()).unwrap();
    let wrong = adam.step(&mut [cpu::TensorMut::new(&mut [0.0; 4], &mut [0.0; 4])]).unwrap_err().to_string();
    assert_eq!(wrong, "tensor `w`: active has 0 numbers, but 2 rows need 2");
}
