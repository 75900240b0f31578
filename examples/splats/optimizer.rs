//! The optimizer as types of this crate. All splats are one tensor of rows, each column with its learning rate.

use super::splat::{ANGLE, COLOR, COLUMNS, LOG_STD, LOGIT};
use wgpu::{Buffer, CommandEncoder};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::rows::{Active, RowSteps, Rows, SecondMoment};
use wgpu_adam::{Adam, Config, Error, Group, Options, Precision, Schedule, Tensor, View};

pub const NAME: &str = "splats";

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

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of steps, over which the rates fall.
    pub steps: u32,
    /// A factor of all learning rates.
    pub lr: f64,
    /// The storage format of the moments.
    pub moments: StateDtype,
    pub second: SecondMoment,
    pub counts: RowSteps,
    /// Seed of stochastic rounding.
    pub seed: u32,
}

impl Settings {
    pub fn config(&self) -> Config {
        Config { lr: self.lr, eps: 1e-15, ..Config::default() }
    }

    /// Rates fall to a tenth.
    pub fn schedule(&self) -> Schedule {
        Schedule::Exponential { rate: 0.1, every: self.steps.max(1) }
    }

    pub fn rows<V>(&self, active: V) -> Rows<V> {
        Rows {
            column_lr: (0..COLUMNS).map(rate).collect(),
            second_moment: self.second,
            steps: self.counts,
            active: Active::Mask(active),
            ..Rows::new(COLUMNS as u32)
        }
    }

    pub fn options(&self) -> Options {
        let precision = Precision { state: self.moments, state_min_len: 0, seed: self.seed, ..Precision::default() };
        Options { precision, ..Options::default() }
    }

    /// Returns the splats as a group of one tensor. A step changes the rows whose `active` is not 0.
    pub fn group(&self, [param, grad, active]: [&Buffer; 3]) -> Group {
        let rows = self.rows(View::u32(active));
        let splats = Tensor::new(NAME, View::f32(param), View::f32(grad)).with_rows(rows);
        Group::new(self.config(), vec![splats]).with_schedule(self.schedule())
    }
}

/// Records the move of the state: new row k gets that of old row `source[k]`, or zeros.
pub fn move_state(adam: &mut Adam, encoder: &mut CommandEncoder, source: &Buffer) -> Result<(), Error> {
    adam.gather(encoder, NAME, &View::u32(source))
}
