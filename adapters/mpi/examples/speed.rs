//! Measures steps of a sharded optimizer without a network: `mpirun -np 2 speed --elements 4194304`. Each line has the ranks,
//! the milliseconds of a step, the bytes that a rank sends in it, and the bytes of a rank's moments.

use std::time::{Duration, Instant};

use clap::Parser;
use mpi::traits::{Communicator, CommunicatorCollectives};
use wgpu::util::{BufferInitDescriptor, DeviceExt, initialize_adapter_from_env_or_default};
use wgpu::{BufferUsages, Instance, InstanceDescriptor, PollType};
use wgpu_adam::{Clip, Config, Group, Tensor, cpu};
use wgpu_adam_mpi::{Options, Wire};

/// Measure steps of a sharded optimizer: mpirun -np 2 speed
#[derive(Parser)]
struct Cli {
    /// Number of parameters
    #[arg(long, default_value_t = 1 << 22)]
    elements: usize,
    /// Number of measured steps, of which the median counts
    #[arg(long, default_value_t = 9)]
    steps: usize,
    /// On the GPU
    #[arg(long)]
    gpu: bool,
    /// Gradients travel in 16 bits
    #[arg(long)]
    half: bool,
    /// Bytes of a piece of all ranks
    #[arg(long)]
    piece: Option<u64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let universe = mpi::initialize().ok_or("MPI is running already")?;
    let world = universe.world();
    let adam = wgpu_adam::Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Default::default() };
    let wire = if cli.half { Wire::Bf16 } else { Wire::F32 };
    let options = Options { adam, wire, piece: cli.piece, ..Options::default() };
    let (mut param, mut grad) = (vec![0.5f32; cli.elements], vec![0.25f32; cli.elements]);
    let config = Config::default();
    let times = |step: &mut dyn FnMut() -> Result<(), wgpu_adam_mpi::Error>| {
        let mut times = Vec::new();
        for _ in 0..=cli.steps {
            world.barrier();
            let begun = Instant::now();
            step()?;
            times.push(begun.elapsed());
        }
        // The first step warms up.
        let mut times = times.split_off(1);
        times.sort_unstable();
        Ok::<Duration, wgpu_adam_mpi::Error>(times[times.len() / 2])
    };
    let (time, sent) = if cli.gpu {
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
        let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None))?;
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let buffer = |contents: &[f32]| {
            let contents = bytemuck::cast_slice(contents);
            device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage })
        };
        let group = Group::new(config, vec![Tensor::f32("all", &buffer(&param), &buffer(&grad))]);
        let mut adam = wgpu_adam_mpi::Sharded::new(&world, &device, &queue, &[group], &options)?;
        let time = times(&mut || {
            adam.step()?;
            device.poll(PollType::wait_indefinitely()).map(|_| ()).expect("the device is there");
            Ok(())
        })?;
        (time, adam.bytes_sent())
    } else {
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("all", cli.elements)]);
        let mut adam = wgpu_adam_mpi::cpu::Sharded::new(&world, &[group], &options)?;
        let time = times(&mut || adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).map(|_| ()))?;
        (time, adam.bytes_sent())
    };
    if world.rank() == 0 {
        println!(
            "{} ranks, {} parameters, {}, {wire:?}: {:.2} ms a step, {} bytes sent a step and rank, {} bytes of moments a rank",
            world.size(),
            cli.elements,
            if cli.gpu { "GPU" } else { "CPU" },
            time.as_secs_f64() * 1e3,
            sent / (cli.steps as u64 + 1),
            8 * cli.elements.div_ceil(world.size() as usize),
        );
    }
    Ok(())
}
