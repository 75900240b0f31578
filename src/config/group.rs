//! Tensors that share one configuration, on the GPU and on the CPU alike.

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;
use crate::config::tensor::Tensor;
use crate::error::Error;

/// Tensors that share one configuration: those of the GPU, or those of the twin ([`cpu::Group`](crate::cpu::Group)).
#[derive(Clone, Debug)]
pub struct Group<T = Tensor> {
    /// Which Adam, and how fast.
    pub config: Config,
    /// The tensors, in any order; on the GPU those in the same buffers share a region whatever the order here.
    pub tensors: Vec<T>,
    /// How the learning rate changes over the group's steps. By default it does not.
    pub schedule: Schedule,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { config: Config::default(), tensors: Vec::new(), schedule: Schedule::default() }
    }
}

impl<T> Group<T> {
    /// Those tensors under that configuration, with a constant learning rate.
    pub fn new(config: Config, tensors: Vec<T>) -> Self {
        Self { config, tensors, ..Self::default() }
    }

    /// This group with that schedule.
    #[must_use]
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// The learning rate at step `t` of this group, the first of which is 1: to be plotted, for example.
    pub fn lr(&self, t: u32) -> f64 {
        self.config.lr * self.schedule.factor(t)
    }

    pub(crate) fn validate(&self, number: usize) -> Result<(), Error> {
        self.config.validate(number)?;
        self.schedule.validate(number)?;
        self.schedule.check_lr(number, self.config.lr)
    }
}
