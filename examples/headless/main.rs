//! The smallest complete program. It fits a thousand numbers, with 500 steps in one submission and one readback.

#[path = "../adapter/mod.rs"]
mod adapter;

use std::process::ExitCode;

use clap::Parser;
use wgpu::{BufferUsages, Device, DeviceDescriptor, include_wgsl};
use wgpu_adam::{Adam, Config, Group, Options, Tensor};

const LEN: u32 = 1000;

/// Fit a thousand numbers on the GPU: 500 steps in one submission, one readback.
///
/// Exit code 0: the numbers converged. 1: they did not converge, or no GPU was found. 2: invalid arguments.
#[derive(Parser)]
struct Arguments {}

fn main() -> ExitCode {
    adapter::log();
    Arguments::parse();
    match pollster::block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headless: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let adapter = adapter::choose()?;
    let (device, queue) = adapter.request_device(&DeviceDescriptor::default()).await?;
    let param = buffer(&device, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let grad = buffer(&device, BufferUsages::STORAGE);
    let config = Config { lr: 0.05, ..Config::default() };
    let tensors = vec![Tensor::f32("x", &param, &grad)];
    let adam = Adam::new(&device, &queue, &[Group::new(config, tensors)], Options::default())?;

    let module = device.create_shader_module(include_wgsl!("grad.wgsl"));
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: param.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: grad.as_entire_binding() },
        ],
    });

    let mut encoder = device.create_command_encoder(&Default::default());
    for _ in 0..500 {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(LEN.div_ceil(64), 1, 1);
        adam.step_in_pass(&mut pass);
    }
    let staging = buffer(&device, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    encoder.copy_buffer_to_buffer(&param, 0, &staging, 0, None);
    queue.submit([encoder.finish()]);

    let report = adam.read_report().await?;
    staging.map_async(wgpu::MapMode::Read, .., |result| result.expect("the staging buffer can be mapped"));
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let x: Vec<f32> = bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range()?);
    let worst = x.iter().enumerate().map(|(i, x)| (x - (i as f32 / LEN as f32)).abs()).fold(0.0, f32::max);
    let place = adapter::describe(&adapter);
    println!("{place}: after {} steps, the largest error among {LEN} numbers is {worst:.1e}", report.t);
    if worst < 1e-3 { Ok(()) } else { Err("the numbers did not converge".into()) }
}

fn buffer(device: &Device, usage: BufferUsages) -> wgpu::Buffer {
    let size = u64::from(LEN) * 4;
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}
