//! The interface of a training on GPU or CPU: it takes epochs of minibatches and returns losses and accuracies.

use crate::{data::Data, network::Network, storage::Storage};
use wgpu_adam::probe::{Insight, Measures};
use wgpu_adam::{Clip, Config, Decay, Options, Report, Schedule};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A network and its data, on the GPU or on the CPU.
pub trait Trainer {
    /// Trains on all rows in `order`, minibatch by minibatch, then scores the held-out rows. Calls `done` with the
    /// number of minibatches that have finished.
    fn epoch(&mut self, order: &[u32], done: &dyn Fn(u64)) -> Result<Epoch>;

    /// Returns the optimizer's report of its last step.
    fn report(&mut self) -> Result<Report>;
}

/// Everything that a trainer is built from.
pub struct Setup<'a> {
    pub data: &'a Data,
    pub network: Network,
    /// The initial parameters.
    pub param: Vec<f32>,
    /// Number of rows in a minibatch.
    pub batch: usize,
    pub lr: f64,
    pub schedule: Schedule,
    pub weight_decay: f64,
    /// Clip the gradients to this global norm.
    pub clip: Option<f64>,
    pub storage: Storage,
    /// Seed of stochastic rounding.
    pub seed: u32,
}

impl Setup<'_> {
    /// Returns the configurations of the weights and of the biases, which do not decay.
    pub fn configs(&self) -> [Config; 2] {
        let decay = if self.weight_decay > 0.0 { Decay::Decoupled(self.weight_decay) } else { Decay::None };
        let plain = Config { lr: self.lr, ..Config::default() };
        [Config { decay, ..plain }, plain]
    }

    /// Returns the options of Adam. A step with a non-finite gradient is skipped and counted.
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

/// The scores of one epoch and the measurements of its measured steps. Each training minibatch is scored before its
/// step.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    pub train: Score,
    pub held_out: Score,
    pub insights: Vec<Insight>,
}

impl Epoch {
    /// Returns the mean of `number` over the measured steps that have one.
    pub fn mean(&self, number: impl Fn(&Measures) -> Option<f64>) -> Option<f64> {
        let numbers: Vec<f64> = self.insights.iter().filter_map(|insight| number(&insight.all)).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean loss over the rows.
    pub loss: f64,
    pub correct: u32,
    pub rows: u32,
}

impl Score {
    pub fn percent(&self) -> f64 {
        100.0 * f64::from(self.correct) / f64::from(self.rows)
    }
}

/// Returns whether this step of an epoch is measured. Four of its `steps` steps are, including the last.
pub fn is_measured(step: usize, steps: usize) -> bool {
    4 * (step + 1) / steps != 4 * step / steps
}
