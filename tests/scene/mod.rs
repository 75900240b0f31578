//! A layout of tensors in buffers that is run on the GPU and on the twin side by side.
//!
//! A GPU test that finds no adapter fails: it is never passed over in silence.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::OnceLock;

use wgpu::util::{BufferInitDescriptor, DeviceExt, initialize_adapter_from_env_or_default};
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, Device, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, Limits,
    Queue,
};
use wgpu_adam::{
    Adam, Config, Decay, Error, Group, Insight, Options, Probe, Report, State, Tensor, TensorState, View, cpu,
};

use tolerance::{Tolerance, share};

#[path = "../../examples/compare/tolerance.rs"]
pub mod tolerance;
pub mod variants;

pub struct Gpu {
    pub device: Device,
    pub queue: Queue,
    /// A CPU adapter: the same bits as on the twin.
    pub software: bool,
    pub backend: wgpu::Backend,
    /// It takes numbers below 2^-126 for zero, as WGSL allows.
    pub flushes: bool,
}

/// What was found out of the adapter, which is the same for the whole process.
static FLUSHES: OnceLock<bool> = OnceLock::new();

impl Gpu {
    /// Whether half of 2^-147 is not 2^-148.
    fn probe_denormals(&self) -> bool {
        let source = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
            @compute @workgroup_size(1) fn half() { x[0] = x[0] * x[1]; }";
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let numbers = self.buffer(&[f32::from_bits(4), 0.5]);
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: numbers.as_entire_binding() }],
        });
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

    /// The default limits of WebGPU and no feature.
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(required_limits: Limits) -> Self {
        let _ = env_logger::builder().is_test(true).try_init();
        // WGPU_BACKEND and WGPU_ADAPTER_NAME choose among several.
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None))
            .expect("no adapter: these tests need one (a software one will do)");
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

    /// So many steps in one submission.
    pub fn steps(&self, adam: &Adam, steps: usize) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for _ in 0..steps {
            adam.step(&mut encoder);
        }
        self.queue.submit([encoder.finish()]);
    }

    pub fn report(&self, adam: &Adam) -> Report {
        pollster::block_on(adam.report(&self.device, &self.queue)).unwrap()
    }

    pub fn state(&self, adam: &Adam) -> State {
        pollster::block_on(adam.state(&self.device, &self.queue)).unwrap()
    }
}

/// Where one tensor lies: elements `param..param + len` of a param buffer, and so on.
#[derive(Clone, Debug)]
pub struct Spot {
    pub group: usize,
    pub buffers: (usize, usize),
    pub param: usize,
    pub grad: usize,
    pub len: usize,
}

/// Buffers (their lengths in elements), tensors in them, configurations.
#[derive(Clone, Debug)]
pub struct Scene {
    pub params: Vec<usize>,
    pub grads: Vec<usize>,
    pub spots: Vec<Spot>,
    pub configs: Vec<Config>,
    pub options: Options,
}

impl Scene {
    /// Each tensor in buffers of its own, the groups in turn.
    pub fn scattered(lens: &[usize], configs: &[Config], options: Options) -> Self {
        let spot = |(i, &len)| Spot { group: i % configs.len(), buffers: (i, i), param: 0, grad: 0, len };
        Self {
            params: lens.to_vec(),
            grads: lens.to_vec(),
            spots: lens.iter().enumerate().map(spot).collect(),
            configs: configs.to_vec(),
            options,
        }
    }

    /// All tensors one behind the other in one buffer of params and one of grads, each padded to a multiple of `align`.
    pub fn arena(lens: &[usize], align: usize, configs: &[Config], options: Options) -> Self {
        let mut at = 0;
        let mut spots = Vec::new();
        for (i, &len) in lens.iter().enumerate() {
            spots.push(Spot { group: i % configs.len(), buffers: (0, 0), param: at, grad: at, len });
            at = (at + len).next_multiple_of(align);
        }
        let end = spots.last().map_or(0, |s: &Spot| s.param + s.len);
        Self { params: vec![end], grads: vec![end], spots, configs: configs.to_vec(), options }
    }

    /// One tensor, with its param at that element of a buffer with that many more behind it, its grad likewise.
    pub fn offset(len: usize, param: (usize, usize), grad: (usize, usize), config: Config, options: Options) -> Self {
        Self {
            params: vec![param.0 + len + param.1],
            grads: vec![grad.0 + len + grad.1],
            spots: vec![Spot { group: 0, buffers: (0, 0), param: param.0, grad: grad.0, len }],
            configs: vec![config],
            options,
        }
    }

    /// The order in which the library has the tensors: group by group.
    pub fn order(&self) -> Vec<&Spot> {
        (0..self.configs.len()).flat_map(|g| self.spots.iter().filter(move |s| s.group == g)).collect()
    }

    pub fn start(&self, gpu: &Gpu) -> Run {
        self.try_start(gpu).unwrap()
    }

    pub fn try_start(&self, gpu: &Gpu) -> Result<Run, Error> {
        let fill = |sizes: &[usize], seed: u64| -> Vec<Vec<f32>> {
            sizes
                .iter()
                .enumerate()
                .map(|(i, &len)| (0..len).map(|e| normal(seed, i as u64, e as u64)).collect())
                .collect()
        };
        let params = fill(&self.params, 1);
        let grads = fill(&self.grads, 2);
        let buffers = |values: &[Vec<f32>]| values.iter().map(|v| gpu.buffer(v)).collect::<Vec<_>>();
        let (param_buffers, grad_buffers) = (buffers(&params), buffers(&grads));
        let groups = self.configs.iter().enumerate().map(|(g, config)| {
            Group::new(
                *config,
                (self.spots.iter().enumerate().filter(|(_, s)| s.group == g))
                    .map(|(i, s)| {
                        let view = |buffer: &Buffer, at: usize| View::f32(buffer).range(at as u64, s.len as u64);
                        let (param, grad) = (&param_buffers[s.buffers.0], &grad_buffers[s.buffers.1]);
                        Tensor::new(format!("tensor{i}"), view(param, s.param), view(grad, s.grad))
                    })
                    .collect(),
            )
        });
        let adam = Adam::new(&gpu.device, &groups.collect::<Vec<_>>(), self.options)?;
        let twin = adam.twin();
        let largest = self.order().iter().map(|s| vec![(0.0, 0.0); s.len]).collect();
        Ok(Run { scene: self.clone(), adam, twin, params, grads, param_buffers, grad_buffers, steps: 0, largest })
    }
}

/// A scene in motion: the buffers on the GPU, and their images that the twin moves.
pub struct Run {
    pub scene: Scene,
    pub adam: Adam,
    pub twin: cpu::Adam,
    pub params: Vec<Vec<f32>>,
    pub grads: Vec<Vec<f32>>,
    pub param_buffers: Vec<Buffer>,
    pub grad_buffers: Vec<Buffer>,
    pub steps: u64,
    /// The largest |gradient| and |param| of each element, tensor by tensor.
    pub largest: Vec<Vec<(f64, f64)>>,
}

impl Run {
    /// New gradients on both sides: nine orders of magnitude over the elements, a tenth of them zero.
    pub fn fresh_grads(&mut self) {
        self.steps += 1;
        for (i, grads) in self.grads.iter_mut().enumerate() {
            for (e, grad) in grads.iter_mut().enumerate() {
                let scale = 10f32.powi((mix(e as u64) % 10) as i32 - 7);
                let zero = mix(e as u64 ^ self.steps << 32).is_multiple_of(10);
                *grad = if zero { 0.0 } else { scale * normal(2 + self.steps, i as u64, e as u64) };
            }
        }
    }

    pub fn upload_grads(&self, gpu: &Gpu) {
        for (buffer, grads) in self.grad_buffers.iter().zip(&self.grads) {
            gpu.write(buffer, grads);
        }
    }

    /// So many steps on both sides, each with fresh gradients.
    pub fn steps(&mut self, gpu: &Gpu, steps: usize) {
        for _ in 0..steps {
            self.step(gpu);
        }
    }

    /// One step on both sides with fresh gradients.
    pub fn step(&mut self, gpu: &Gpu) {
        self.fresh_grads();
        self.upload_grads(gpu);
        gpu.step(&self.adam);
        self.twin_step();
    }

    /// The twin's step, on the images.
    pub fn twin_step(&mut self) -> Report {
        self.twin_step_by(cpu::Adam::step)
    }

    /// One step on both sides with the gradients as they are, and what either measured in it.
    pub fn measured_step(&mut self, gpu: &Gpu, probe: &Probe) -> (Insight, Insight) {
        self.upload_grads(gpu);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        probe.step(&self.adam, &mut encoder).unwrap();
        gpu.queue.submit([encoder.finish()]);
        let got = pollster::block_on(probe.read(&self.adam, &gpu.device, &gpu.queue)).unwrap();
        (got, self.twin_step_by(cpu::Adam::step_measured).1)
    }

    fn twin_step_by<T>(&mut self, step: impl FnOnce(&mut cpu::Adam, &mut [cpu::Slot]) -> Result<T, Error>) -> T {
        let order: Vec<Spot> = self.scene.order().into_iter().cloned().collect();
        let copy = |from: &[Vec<f32>], buffer: usize, at: usize, len: usize| from[buffer][at..at + len].to_vec();
        let mut values: Vec<_> = order
            .iter()
            .map(|s| (copy(&self.params, s.buffers.0, s.param, s.len), copy(&self.grads, s.buffers.1, s.grad, s.len)))
            .collect();
        for ((s, (param, grad)), largest) in order.iter().zip(&values).zip(&mut self.largest) {
            let l2 = if let Decay::L2(decay) = self.scene.configs[s.group].decay { decay } else { 0.0 };
            for ((p, g), (largest_grad, largest_param)) in param.iter().zip(grad).zip(largest) {
                *largest_grad = largest_grad.max(f64::from(g.abs()) + l2 * f64::from(p.abs()));
                *largest_param = largest_param.max(f64::from(p.abs()));
            }
        }
        let mut slots: Vec<_> = values.iter_mut().map(|(param, grad)| cpu::Slot::new(param, grad)).collect();
        let result = step(&mut self.twin, &mut slots).unwrap();
        for (s, (param, grad)) in order.iter().zip(&values) {
            self.params[s.buffers.0][s.param..s.param + s.len].copy_from_slice(param);
            self.grads[s.buffers.1][s.grad..s.grad + s.len].copy_from_slice(grad);
        }
        result
    }

    /// What is wrong first, if anything. Beside the views, and in the gradients, every bit must be right; in param, m, v
    /// and the report, every bit on a CPU adapter, and elsewhere the tolerance holds.
    pub fn difference(&self, gpu: &Gpu) -> Option<String> {
        let mut got: Vec<Vec<f32>> = self.param_buffers.iter().map(|buffer| gpu.read(buffer)).collect();
        let (state, twin) = (gpu.state(&self.adam), self.twin.state());
        let mut worst: f64 = 0.0;
        for (i, spot) in self.scene.order().into_iter().enumerate() {
            let config = &self.scene.configs[spot.group];
            let (name, [m, v, v_max]) = (&state.tensors[i].name, moments(&state.tensors[i]));
            let [twin_m, twin_v, twin_v_max] = moments(&twin.tensors[i]);
            assert_eq!([m.len(), v.len(), v_max.len()], [twin_m.len(), twin_v.len(), twin_v_max.len()]);
            for e in 0..spot.len {
                let at = (spot.buffers.0, spot.param + e);
                let tolerance = Tolerance::new(config, self.steps, self.largest[i][e].0, self.largest[i][e].1);
                let want = self.params[at.0][at.1];
                let of = |memory: &[f32]| memory.get(e).copied().unwrap_or(0.0);
                for (what, got, want, tolerance) in [
                    ("param", got[at.0][at.1], want, tolerance.param),
                    ("m", of(&m), of(&twin_m), tolerance.m),
                    ("v", of(&v), of(&twin_v), tolerance.v),
                    ("v_max", of(&v_max), of(&twin_v_max), tolerance.v),
                ] {
                    // What is below 2^-126 may be lost in each of the last steps.
                    let lost = if gpu.flushes && what != "param" { 1e3 * f32::MIN_POSITIVE } else { 0.0 };
                    if lost > 0.0 && (got - want).abs() <= lost {
                        continue;
                    }
                    let share = share(got, want, tolerance, gpu.software);
                    worst = worst.max(share);
                    if share > 1.0 {
                        return Some(format!("{what} of {name} [{e}]: {got:e} for {want:e}, {share} of the tolerance"));
                    }
                }
                got[at.0][at.1] = want;
            }
        }
        println!("worst share of the tolerance: {worst:.3}");
        // The params are now as they should be, but for what lies beside the views.
        let beside = differing("params", &got, &self.params);
        let grads: Vec<Vec<f32>> = self.grad_buffers.iter().map(|buffer| gpu.read(buffer)).collect();
        beside.or_else(|| differing("grads", &grads, &self.grads)).or_else(|| {
            let (got, want) = (gpu.report(&self.adam), self.twin.report());
            let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            let close = |a: f32, b: f32| same(a, b) || (!gpu.software || gpu.flushes) && (a / b - 1.0).abs() < 1e-5;
            let counts = |r: &Report| (r.t, r.skipped, r.last_skipped, r.bad_tensor.clone(), r.groups.clone());
            let same = counts(&got) == counts(&want)
                && close(got.clip_coef, want.clip_coef)
                && got.grad_norm.is_some() == want.grad_norm.is_some()
                && close(got.grad_norm.unwrap_or(1.0), want.grad_norm.unwrap_or(1.0));
            (!same).then(|| format!("{got:?} for {want:?}"))
        })
    }

    pub fn assert_same(&self, gpu: &Gpu) {
        if let Some(difference) = self.difference(gpu) {
            panic!("{difference}");
        }
    }
}

/// m, v and v_max; empty where the variant has none.
pub fn moments(tensor: &TensorState) -> [Vec<f32>; 3] {
    [tensor.m(), tensor.v(), tensor.v_max()]
}

fn differing(what: &str, got: &[Vec<f32>], want: &[Vec<f32>]) -> Option<String> {
    for (buffer, (got, want)) in got.iter().zip(want).enumerate() {
        if let Some(i) = (0..want.len()).find(|&i| got[i].to_bits() != want[i].to_bits()) {
            return Some(format!("{what} buffer {buffer} [{i}]: {:e} for {:e}", got[i], want[i]));
        }
    }
    None
}

pub fn assert_same(got: &[f32], want: &[f32], what: &str) {
    if let Some(difference) = differing(what, &[got.to_vec()], &[want.to_vec()]) {
        panic!("{difference}");
    }
}

/// SplitMix64's finish.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// About normal, from three numbers: the sum of four uniform ones.
pub fn normal(seed: u64, stream: u64, index: u64) -> f32 {
    let bits = mix(mix(mix(seed) ^ stream) ^ index);
    let uniform = |k: u32| ((bits >> (16 * k)) & 0xffff) as f32 / 65536.0 - 0.5;
    (uniform(0) + uniform(1) + uniform(2) + uniform(3)) * 1.732
}
