//! The calls of this crate. Each attribute of the splats is a tensor with its own learning rate.

use crate::splat::{ANGLE, COLOR, COLUMNS, LOG_STD, LOGIT, MEAN};
use clap::ValueEnum;
use std::ops::Range;
use wgpu::{Buffer, CommandEncoder, Device, Queue};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Adam, Config, Error, Group, Options, Precision, Schedule, Tensor, View, cpu};

struct Attribute {
    name: &'static str,
    columns: Range<usize>,
    lr: f64,
}

/// Means are in pixels.
const ATTRIBUTES: [Attribute; 5] = [
    Attribute { name: "mean", columns: MEAN..LOG_STD, lr: 0.1 },
    Attribute { name: "log_std", columns: LOG_STD..ANGLE, lr: 0.02 },
    Attribute { name: "angle", columns: ANGLE..COLOR, lr: 0.02 },
    Attribute { name: "color", columns: COLOR..LOGIT, lr: 0.01 },
    Attribute { name: "logit", columns: LOGIT..COLUMNS, lr: 0.05 },
];

/// The values of `--moments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Moments {
    /// 4 bytes each
    F32,
    /// 2 bytes each
    Bf16,
    /// 1 byte each, in blocks that share a scale
    Block8,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of steps, over which the rates fall.
    pub steps: u32,
    /// A factor of all learning rates.
    pub lr: f64,
    pub moments: Moments,
    /// Seed of stochastic rounding.
    pub seed: u32,
}

impl Settings {
    fn config(&self, attribute: &Attribute) -> Config {
        Config { lr: self.lr * attribute.lr, eps: 1e-15, ..Config::default() }
    }

    /// Rates fall to a tenth.
    fn schedule(&self) -> Schedule {
        Schedule::Exponential { rate: 0.1, every: self.steps.max(1) }
    }

    fn options(&self) -> Options {
        let state = match self.moments {
            Moments::F32 => StateDtype::F32,
            Moments::Bf16 => StateDtype::Bf16,
            Moments::Block8 => StateDtype::Block8,
        };
        let precision = Precision { state, state_min_len: 0, seed: self.seed, ..Precision::default() };
        Options { precision, ..Options::default() }
    }
}

fn range(columns: &Range<usize>, capacity: usize) -> Range<usize> {
    columns.start * capacity..columns.end * capacity
}

/// Creates the optimizer on the GPU.
pub fn gpu(
    device: &Device,
    queue: &Queue,
    [param, grad]: [&Buffer; 2],
    capacity: usize,
    settings: &Settings,
) -> Result<Adam, Error> {
    let groups = ATTRIBUTES.map(|attribute| {
        let Range { start, end } = range(&attribute.columns, capacity);
        let view = |buffer| View::f32(buffer).slice(start as u64..end as u64);
        let tensor = Tensor::new(attribute.name, view(param), view(grad));
        Group::new(settings.config(&attribute), vec![tensor]).with_schedule(settings.schedule())
    });
    Adam::new(device, queue, &groups, settings.options())
}

/// Records the move of the state: new row k gets that of old row `source[k]`, or zeros.
pub fn move_state(_adam: &Adam, _encoder: &mut CommandEncoder, _source: &Buffer) {
    // The optimizer has no call for it yet. A row that moves meets the moments of the row that was there.
}

/// The optimizer on the CPU.
pub struct CpuAdam {
    adam: cpu::Adam,
    capacity: usize,
}

impl CpuAdam {
    pub fn new(capacity: usize, settings: &Settings) -> Result<Self, Error> {
        let groups = ATTRIBUTES.map(|attribute| {
            let tensor = cpu::Tensor::new(attribute.name, range(&attribute.columns, capacity).len());
            cpu::Group::new(settings.config(&attribute), vec![tensor]).with_schedule(settings.schedule())
        });
        Ok(Self { adam: cpu::Adam::new(&groups, settings.options())?, capacity })
    }

    /// The twin of `move_state`.
    pub fn move_state(&mut self, _source: &[u32]) {}

    pub fn step(&mut self, mut param: &mut [f32], mut grad: &mut [f32]) -> Result<(), Error> {
        let mut tensors = Vec::new();
        for attribute in &ATTRIBUTES {
            let len = attribute.columns.len() * self.capacity;
            let (head, tail) = param.split_at_mut(len);
            let (grad_head, grad_tail) = grad.split_at_mut(len);
            tensors.push(cpu::TensorMut::new(head, grad_head));
            (param, grad) = (tail, grad_tail);
        }
        self.adam.step(&mut tensors).map(drop)
    }
}
