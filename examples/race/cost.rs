//! What a step of each rule costs: bytes of state, and time, for a tensor of a million parameters.

use crate::{
    Result,
    course::median,
    gpu::{Gpu, empty},
    racers::Racer,
};
use std::time::{Duration, Instant};
use wgpu::{BufferUsages, PollType};
use wgpu_adam::{Adam, Group, Options, Tensor};

const PARAMETERS: usize = 1 << 20;
/// Number of measurements of each rule, of which the median counts, and of steps in each.
const ROUNDS: usize = 9;
const STEPS: u32 = 4;

pub struct Cost {
    /// Bytes of state for each parameter.
    pub bytes: f64,
    /// Time of a step.
    pub time: Duration,
}

/// Measures all rules in turn, so that what else the machine does falls on all of them.
pub fn costs(gpu: &Gpu, racers: &[Racer]) -> Result<Vec<Cost>> {
    let Gpu { device, queue, .. } = gpu;
    let buffer = |label| empty(device, label, PARAMETERS, BufferUsages::STORAGE);
    let (param, grad) = (buffer("param"), buffer("grad"));
    let optimizers = racers.iter().map(|racer| {
        let group = Group::new(racer.config.clone(), vec![Tensor::f32("w", &param, &grad)]);
        Adam::new(device, queue, &[group], Options::default())
    });
    let optimizers: Vec<Adam> = optimizers.collect::<std::result::Result<_, _>>()?;
    let measure = |adam: &Adam| -> Result<Duration> {
        let mut encoder = device.create_command_encoder(&Default::default());
        (0..STEPS).for_each(|_| adam.step(&mut encoder));
        let commands = encoder.finish();
        let start = Instant::now();
        queue.submit([commands]);
        device.poll(PollType::wait_indefinitely())?;
        Ok(start.elapsed() / STEPS)
    };
    let mut times = vec![Vec::new(); optimizers.len()];
    for round in 0..=ROUNDS {
        for (adam, times) in optimizers.iter().zip(&mut times) {
            let time = measure(adam)?;
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let costs = optimizers.iter().zip(times).map(|(adam, times)| {
        let memory = adam.memory_use();
        Cost { bytes: (memory.total() - memory.small) as f64 / PARAMETERS as f64, time: median(times) }
    });
    Ok(costs.collect())
}
