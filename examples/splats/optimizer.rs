//! The calls of this crate. All splats are one tensor of rows, each column with its learning rate.

use crate::splat::{ANGLE, COLOR, COLUMNS, LOG_STD, LOGIT};
use clap::ValueEnum;
use wgpu::{Buffer, CommandEncoder, Device, Queue};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::rows::{Active, RowSteps, Rows, SecondMoment};
use wgpu_adam::{Adam, Config, Error, Group, Options, Precision, Schedule, Tensor, View, cpu};

const NAME: &str = "splats";

/// Returns the learning rate of a column. Means are in pixels.
fn rate(column: usize) -> f64 {
    match column {
        ..LOG_STD => 0.1,
        LOG_STD..ANGLE => 0.02,
        ANGLE..COLOR => 0.02,
        COLOR..LOGIT => 0.01,
        _ => 0.05,
    }
}

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

/// The values of `--second-moment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Second {
    /// One for each number
    Elementwise,
    /// One for each splat: of the mean of the squares
    RowMean,
    /// One for each splat: of the sum of the squares
    RowSum,
}

/// The values of `--row-steps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Counts {
    /// Each splat counts its own steps for the bias correction
    PerRow,
    /// All splats share one count
    Shared,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of steps, over which the rates fall.
    pub steps: u32,
    /// A factor of all learning rates.
    pub lr: f64,
    pub moments: Moments,
    pub second: Second,
    pub counts: Counts,
    /// Seed of stochastic rounding.
    pub seed: u32,
}

impl Settings {
    fn config(&self) -> Config {
        Config { lr: self.lr, eps: 1e-15, ..Config::default() }
    }

    /// Rates fall to a tenth.
    fn schedule(&self) -> Schedule {
        Schedule::Exponential { rate: 0.1, every: self.steps.max(1) }
    }

    fn rows<V>(&self, active: V) -> Rows<V> {
        Rows {
            column_lr: (0..COLUMNS).map(rate).collect(),
            second_moment: match self.second {
                Second::Elementwise => SecondMoment::Elementwise,
                Second::RowMean => SecondMoment::RowMean,
                Second::RowSum => SecondMoment::RowSum,
            },
            steps: match self.counts {
                Counts::PerRow => RowSteps::PerRow,
                Counts::Shared => RowSteps::Shared,
            },
            active: Active::Mask(active),
            ..Rows::new(COLUMNS as u32)
        }
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

/// Creates the optimizer on the GPU. It steps the rows whose `active` is not 0.
pub fn gpu(
    device: &Device,
    queue: &Queue,
    [param, grad, active]: [&Buffer; 3],
    settings: &Settings,
) -> Result<Adam, Error> {
    let rows = settings.rows(View::u32(active));
    let splats = Tensor::new(NAME, View::f32(param), View::f32(grad)).with_rows(rows);
    let group = Group::new(settings.config(), vec![splats]).with_schedule(settings.schedule());
    Adam::new(device, queue, &[group], settings.options())
}

/// Records the move of the state: new row k gets that of old row `source[k]`, or zeros.
pub fn move_state(adam: &mut Adam, encoder: &mut CommandEncoder, source: &Buffer) -> Result<(), Error> {
    adam.gather(encoder, NAME, &View::u32(source))
}

/// The optimizer on the CPU.
pub struct CpuAdam {
    adam: cpu::Adam,
    capacity: usize,
}

impl CpuAdam {
    pub fn new(capacity: usize, settings: &Settings) -> Result<Self, Error> {
        let splats = cpu::Tensor::new(NAME, COLUMNS * capacity).with_rows(settings.rows(()));
        let group = cpu::Group::new(settings.config(), vec![splats]).with_schedule(settings.schedule());
        Ok(Self { adam: cpu::Adam::new(&[group], settings.options())?, capacity })
    }

    pub fn step(&mut self, param: &mut [f32], grad: &mut [f32], active: &[u32]) -> Result<(), Error> {
        let rows = cpu::RowInputs { active, ..cpu::RowInputs::default() };
        self.adam.step(&mut [cpu::TensorMut::new(param, grad).with_rows(rows)]).map(drop)
    }

    /// The twin of `move_state`. Rows without a source are fresh.
    pub fn move_state(&mut self, mut source: Vec<u32>) -> Result<(), Error> {
        source.resize(self.capacity, u32::MAX);
        self.adam.gather(NAME, &source)
    }
}
