//! What a step of each rule costs: bytes of state, and time, for a tensor of a million parameters.

use crate::{
    Result,
    gpu::{Gpu, empty},
    racers::Racer,
};
use std::time::Instant;
use wgpu::{BufferUsages, PollType};
use wgpu_adam::{Adam, Group, Options, Tensor};

const PARAMETERS: usize = 1 << 20;
/// Number of measurements of each rule, and of steps in each.
const ROUNDS: usize = 21;
const STEPS: usize = 2;

pub struct Cost {
    /// Bytes of state for each parameter.
    pub bytes: f64,
    /// Time of a step, in times that of the first rule: the median over the rounds.
    pub time: f64,
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
    let measure = |adam: &Adam| -> Result<f64> {
        let mut encoder = device.create_command_encoder(&Default::default());
        (0..STEPS).for_each(|_| adam.step(&mut encoder));
        let commands = encoder.finish();
        let start = Instant::now();
        queue.submit([commands]);
        device.poll(PollType::wait_indefinitely())?;
        Ok(start.elapsed().as_secs_f64())
    };
    let mut ratios = vec![Vec::new(); optimizers.len()];
    for round in 0..=ROUNDS {
        let times = optimizers.iter().map(measure).collect::<Result<Vec<f64>>>()?;
        // The first round warms up.
        if round > 0 {
            ratios.iter_mut().zip(&times).for_each(|(ratios, time)| ratios.push(time / times[0]));
        }
    }
    let costs = optimizers.iter().zip(ratios).map(|(adam, mut ratios)| {
        let memory = adam.memory_use();
        ratios.sort_by(f64::total_cmp);
        Cost { bytes: (memory.total() - memory.small) as f64 / PARAMETERS as f64, time: ratios[ROUNDS / 2] }
    });
    Ok(costs.collect())
}
