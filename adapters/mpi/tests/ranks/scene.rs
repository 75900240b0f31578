//! Tensors, and the same training on one optimizer and on several ranks, on the GPU and on the CPU.

use std::sync::OnceLock;

use half::bf16;
use mpi::traits::Communicator;
use wgpu::util::{BufferInitDescriptor, DeviceExt, initialize_adapter_from_env_or_default};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, Instance, InstanceDescriptor, MapMode, PollType, Queue};
use wgpu_adam::{Config, Dtype, Group, State, Tensor, View, cpu};
use wgpu_adam_mpi::{Error, Options, Sharded};

/// The lengths of the tensors. The second group has the last two.
pub const LENS: [usize; 4] = [1000, 2, 300, 2600];

/// Tensors in two groups.
#[derive(Clone)]
pub struct Scene {
    pub options: Options,
    pub configs: [Config; 2],
    pub clip: Option<wgpu_adam::GroupClip>,
    /// The dtype of the parameters.
    pub param: Dtype,
}

impl Scene {
    pub fn new(options: Options) -> Self {
        let configs = [Config::default(), Config { lr: 0.02, maximize: true, ..Config::default() }];
        Self { options, configs, clip: None, param: Dtype::F32 }
    }

    /// The groups, with the tensors that a function makes.
    fn groups<T>(&self, tensor: impl Fn(usize) -> T) -> Vec<Group<T>> {
        let group = |g: usize| {
            let group = Group::new(self.configs[g].clone(), [2 * g, 2 * g + 1].map(&tensor).into());
            Group { clip: self.clip.filter(|_| g == 1), ..group }
        };
        vec![group(0), group(1)]
    }

    pub fn cpu_groups(&self) -> Vec<cpu::Group> {
        self.groups(|i| cpu::Tensor::new(format!("tensor{i}"), LENS[i]).with_dtypes(self.param, Dtype::F32))
    }

    /// One optimizer with whole tensors.
    pub fn whole(&self) -> cpu::Adam {
        cpu::Adam::new(&self.cpu_groups(), self.options.adam.clone()).unwrap()
    }
}

/// Small integers that depend on the rank, the step and the element. Sums of them and of their squares are exact.
pub fn integers(rank: usize, step: usize) -> Vec<Vec<f32>> {
    let g = |i: usize, e: usize| ((e * 7 + i * 3 + step * 5 + rank * 11) % 9) as f32 - 4.0;
    LENS.iter().enumerate().map(|(i, len)| (0..*len).map(|e| g(i, e)).collect()).collect()
}

/// Numbers of all magnitudes whose sum depends on the order.
pub fn floats(rank: usize, step: usize) -> Vec<Vec<f32>> {
    let of = |g: f32, e: usize| g * 1.1f32.powi((e % 61) as i32 - 30) + 1e-3;
    let scaled = |grads: Vec<f32>| grads.into_iter().enumerate().map(|(e, g)| of(g, e)).collect();
    integers(rank, step).into_iter().map(scaled).collect()
}

/// The sum over all ranks.
pub fn sum(ranks: usize, of: impl Fn(usize) -> Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut total = of(0);
    for rank in 1..ranks {
        let other = of(rank);
        total.iter_mut().flatten().zip(other.iter().flatten()).for_each(|(sum, g)| *sum += g);
    }
    total
}

fn begin() -> Vec<Vec<f32>> {
    LENS.iter().map(|len| (0..*len).map(|e| ((e * 13) % 101) as f32 / 64.0 - 0.75).collect()).collect()
}

/// Parameters on the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Params {
    F32(Vec<Vec<f32>>),
    Bf16(Vec<Vec<bf16>>),
}

impl Params {
    pub fn of(scene: &Scene) -> Self {
        match scene.param {
            Dtype::Bf16 => Self::Bf16(begin().iter().map(|p| p.iter().map(|x| bf16::from_f32(*x)).collect()).collect()),
            _ => Self::F32(begin()),
        }
    }

    pub fn with<T>(&mut self, grads: &mut [Vec<f32>], run: impl FnOnce(&mut [cpu::TensorMut]) -> T) -> T {
        let mut tensors: Vec<cpu::TensorMut> = match self {
            Self::F32(all) => all.iter_mut().zip(grads).map(|(p, g)| cpu::TensorMut::new(p, g)).collect(),
            Self::Bf16(all) => all.iter_mut().zip(grads).map(|(p, g)| cpu::TensorMut::new(p, g)).collect(),
        };
        run(&mut tensors)
    }

    pub fn bytes(&self) -> Vec<Vec<u8>> {
        match self {
            Self::F32(all) => all.iter().map(|p| bytemuck::cast_slice(p).to_vec()).collect(),
            Self::Bf16(all) => all.iter().map(|p| bytemuck::cast_slice(p).to_vec()).collect(),
        }
    }
}

/// A device with WebGPU's default limits. All tests of a rank share it.
pub fn device() -> &'static (Device, Queue) {
    static DEVICE: OnceLock<(Device, Queue)> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None));
        let adapter = adapter.expect("no adapter: these tests need one (a software adapter is enough)");
        pollster::block_on(adapter.request_device(&Default::default())).expect("no device")
    })
}

/// A sharded training, on the GPU or on the CPU.
pub enum Run {
    Gpu { adam: Box<Sharded>, params: Vec<Buffer>, grads: Vec<Buffer> },
    Cpu { adam: Box<wgpu_adam_mpi::cpu::Sharded>, params: Params },
}

fn buffer(contents: &[u8], usage: BufferUsages) -> Buffer {
    device().0.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage })
}

impl Run {
    pub fn start(world: &impl Communicator, scene: &Scene, gpu: bool) -> Result<Self, Error> {
        if !gpu {
            let adam = wgpu_adam_mpi::cpu::Sharded::new(world, &scene.cpu_groups(), &scene.options)?;
            return Ok(Self::Cpu { adam: Box::new(adam), params: Params::of(scene) });
        }
        let (device, queue) = device();
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let params: Vec<Buffer> = Params::of(scene).bytes().iter().map(|p| buffer(p, usage)).collect();
        let grads: Vec<Buffer> = LENS.iter().map(|len| buffer(&vec![0; 4 * len], usage)).collect();
        let tensor = |i: usize| {
            let param = View::new(&params[i], scene.param).slice(..LENS[i] as u64);
            Tensor::new(format!("tensor{i}"), param, View::f32(&grads[i]))
        };
        let adam = Sharded::new(world, device, queue, &scene.groups(tensor), &scene.options)?;
        Ok(Self::Gpu { adam: Box::new(adam), params, grads })
    }

    /// A step with these gradients of this rank. Returns the gradients after it.
    pub fn step(&mut self, mut grads: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, Error> {
        match self {
            Self::Gpu { adam, grads: buffers, .. } => {
                for (buffer, grads) in buffers.iter().zip(&grads) {
                    device().1.write_buffer(buffer, 0, bytemuck::cast_slice(grads));
                }
                adam.step()?;
                Ok(buffers.iter().map(|buffer| bytemuck::pod_collect_to_vec(&read(buffer))).collect())
            }
            Self::Cpu { adam, params } => {
                params.with(&mut grads, |tensors| adam.step(tensors))?;
                Ok(grads)
            }
        }
    }

    /// The bytes of all parameters.
    pub fn params(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Gpu { params, .. } => params.iter().map(read).collect(),
            Self::Cpu { params, .. } => params.bytes(),
        }
    }

    pub fn report(&self) -> wgpu_adam::Report {
        match self {
            Self::Gpu { adam, .. } => adam.read_report().unwrap(),
            Self::Cpu { adam, .. } => adam.optimizer().report(),
        }
    }

    pub fn gather_state(&self) -> Option<State> {
        match self {
            Self::Gpu { adam, .. } => adam.gather_state().unwrap(),
            Self::Cpu { adam, .. } => adam.gather_state().unwrap(),
        }
    }

    pub fn load_state(&mut self, state: &State) -> Result<(), Error> {
        match self {
            Self::Gpu { adam, .. } => adam.load_state(state),
            Self::Cpu { adam, .. } => adam.load_state(state),
        }
    }

    pub fn set_params(&mut self, from: &[Vec<u8>]) {
        match self {
            Self::Gpu { params, .. } => {
                params.iter().zip(from).for_each(|(buffer, bytes)| device().1.write_buffer(buffer, 0, bytes));
            }
            Self::Cpu { params: Params::F32(params), .. } => {
                params.iter_mut().zip(from).for_each(|(p, bytes)| *p = bytemuck::pod_collect_to_vec(bytes));
            }
            Self::Cpu { params: Params::Bf16(params), .. } => {
                params.iter_mut().zip(from).for_each(|(p, bytes)| *p = bytemuck::pod_collect_to_vec(bytes));
            }
        }
    }
}

fn read(buffer: &Buffer) -> Vec<u8> {
    let (device, queue) = device();
    let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    let descriptor = BufferDescriptor { label: None, size: buffer.size(), usage, mapped_at_creation: false };
    let staging = device.create_buffer(&descriptor);
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    queue.submit([encoder.finish()]);
    staging.map_async(MapMode::Read, .., |result| result.unwrap());
    device.poll(PollType::wait_indefinitely()).unwrap();
    staging.slice(..).get_mapped_range().unwrap().to_vec()
}
