//! Faults of ranks, which end the job. test.sh runs a scenario under `mpirun`, and looks at how it ends.
//!
//! | scenario | what happens |
//! |---|---|
//! | `kill FILE` | the last rank is killed within a step, after the state was saved to FILE |
//! | `hang` | the last rank stops to answer |
//! | `memory` | the device of the last rank is lost before its optimizer is made |
//! | `device` | the device of the last rank is lost between two steps |
//! | `resume FILE` | the run goes on from FILE |

use std::path::Path;
use std::time::Duration;

use mpi::traits::Communicator;
use wgpu_adam::{Config, State, cpu};
use wgpu_adam_mpi::Options;
use wgpu_adam_mpi::cpu::Sharded;

const LEN: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(scenario) = arguments.first().filter(|argument| !argument.starts_with('-')) else {
        println!("nothing to do without a scenario: see test.sh");
        return;
    };
    env_logger::init();
    let universe = mpi::initialize().expect("MPI is not initialized yet");
    let world = universe.world();
    let is_last = world.rank() == world.size() - 1;
    if scenario == "memory" || scenario == "device" {
        lost_device(&world, is_last, scenario == "memory");
        return;
    }
    let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", LEN)]);
    let options = Options { timeout: Some(Duration::from_secs(3)), ..Options::default() };
    let mut adam = Sharded::new(&world, &[group], &options).unwrap();
    let mut param = vec![0.5; LEN];
    let file = arguments.get(1).map(Path::new);
    let mut first = 0;
    if scenario == "resume" {
        let state = State::load(file.expect("a file")).unwrap();
        first = state.t;
        adam.load_state(&state).unwrap();
    }
    for step in first..first + 5 {
        if is_last && step == 3 {
            match scenario.as_str() {
                // The other ranks are within the step then.
                "kill" => {
                    std::thread::sleep(Duration::from_millis(500));
                    let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
                }
                "hang" => std::thread::sleep(Duration::from_secs(600)),
                _ => {}
            }
        }
        let mut grad = vec![(step + 1) as f32; LEN];
        adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
        if let (Some(state), "kill", Some(file)) = (adam.gather_state().unwrap(), scenario.as_str(), file) {
            state.save(file).unwrap();
        }
    }
    println!("rank {} ends at step {}", world.rank(), adam.optimizer().t());
}

/// The device of the last rank is lost. An error of its memory takes the same way.
fn lost_device(world: &impl Communicator, is_last: bool, before: bool) {
    use wgpu::{BufferDescriptor, BufferUsages, DeviceDescriptor, Instance, InstanceDescriptor};
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = pollster::block_on(wgpu::util::initialize_adapter_from_env_or_default(&instance, None)).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&DeviceDescriptor::default())).unwrap();
    let size = 1 << 20;
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let buffer = || device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let (param, grad) = (buffer(), buffer());
    if is_last && before {
        device.destroy();
    }
    let group = wgpu_adam::Group::new(Config::default(), vec![wgpu_adam::Tensor::f32("w", &param, &grad)]);
    let options = wgpu_adam::Options { skip_nonfinite: true, ..Default::default() };
    let options = Options { adam: options, ..Options::default() };
    let made = wgpu_adam_mpi::Sharded::new(world, &device, &queue, &[group], &options);
    let error = if before {
        made.unwrap_err()
    } else {
        let mut adam = made.unwrap();
        adam.step().unwrap();
        if is_last {
            device.destroy();
        }
        adam.step().unwrap_err()
    };
    println!("rank {}: {error}", world.rank());
    let of_another = matches!(error, wgpu_adam_mpi::Error::Rank { .. });
    assert_eq!(of_another, !is_last);
}
