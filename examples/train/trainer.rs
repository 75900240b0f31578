//! What training is, wherever it runs: epochs of minibatches in, losses and accuracies out.

use crate::{data::Data, network::Network, storage::Storage};
use wgpu_adam::probe::{Insight, Measures};
use wgpu_adam::{Clip, Config, Decay, Options, Report, Schedule};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A network and its data, on the GPU or on the CPU.
pub trait Trainer {
    /// Trains on every row in `order`, minibatch by minibatch, then measures the held-out rows. `done` is told of
    /// minibatches as they are finished.
    fn epoch(&mut self, order: &[u32], done: &dyn Fn(u64)) -> Result<Epoch>;

    /// What the optimizer says of its last step.
    fn report(&mut self) -> Result<Report>;
}

/// What it takes to build a trainer.
pub struct Setup<'a> {
    pub data: &'a Data,
    pub network: Network,
    /// The parameters to begin with.
    pub param: Vec<f32>,
    /// Rows in a minibatch.
    pub batch: usize,
    pub lr: f64,
    pub schedule: Schedule,
    pub weight_decay: f64,
    /// Largest norm of a gradient.
    pub clip: Option<f64>,
    pub storage: Storage,
    /// Of the roundings.
    pub seed: u32,
}

impl Setup<'_> {
    /// How Adam treats the weights, and how the biases, which do not decay.
    pub fn configs(&self) -> [Config; 2] {
        let decay = if self.weight_decay > 0.0 { Decay::Decoupled(self.weight_decay) } else { Decay::None };
        let plain = Config { lr: self.lr, ..Config::default() };
        [Config { decay, ..plain }, plain]
    }

    /// A step whose gradient is not finite is skipped, and counted.
    pub fn options(&self) -> Options {
        let precision = self.storage.precision(self.seed);
        Options {
            clip: self.clip.map_or(Clip::None, Clip::GlobalNorm),
            skip_nonfinite: true,
            precision,
            ..Options::default()
        }
    }
}

/// The scores of one epoch: those of the training rows were taken minibatch by minibatch, each before its step. And what Adam
/// did in the measured steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    pub train: Score,
    pub held_out: Score,
    pub insights: Vec<Insight>,
}

impl Epoch {
    /// The mean over the measured steps of a number that most of them have.
    pub fn mean(&self, number: impl Fn(&Measures) -> Option<f64>) -> Option<f64> {
        let numbers: Vec<f64> = self.insights.iter().filter_map(|insight| number(&insight.all)).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean over the rows.
    pub loss: f64,
    pub correct: u32,
    pub rows: u32,
}

impl Score {
    pub fn percent(&self) -> f64 {
        100.0 * f64::from(self.correct) / f64::from(self.rows)
    }
}

/// One minibatch: `rows` places of the order, from `first` on.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Batch {
    pub first: u32,
    pub rows: u32,
}

/// Cuts `count` places, from `first` on, into minibatches; the last may be short.
pub fn batches(first: usize, count: usize, size: usize) -> impl Iterator<Item = Batch> {
    let starts = (0..count).step_by(size);
    starts.map(move |start| Batch { first: (first + start) as u32, rows: size.min(count - start) as u32 })
}

/// Whether Adam is measured in that one of so many steps of an epoch: it is in four, the last among them.
pub fn is_measured(step: usize, steps: usize) -> bool {
    4 * (step + 1) / steps != 4 * step / steps
}
