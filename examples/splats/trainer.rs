//! The interface of a fit on GPU or CPU.

use crate::{optimizer::Settings, picture::Target, splat::Row};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The splats and the image that they are fitted to, on the GPU or on the CPU.
pub trait Trainer {
    /// Makes that many steps. On the GPU they are submitted, and may still run when this returns.
    fn advance(&mut self, steps: u32) -> Result<()>;

    /// Prunes, clones and splits.
    fn refine(&mut self) -> Result<()>;

    /// Renders the splats and asks for a score.
    fn measure(&mut self) -> Result<()>;

    /// Returns the next score that has arrived, or waits for it.
    fn score(&mut self, wait: bool) -> Result<Option<Score>>;

    /// Returns the image of the last `measure`.
    fn picture(&mut self) -> Result<Vec<[f32; 3]>>;

    /// Returns the bytes of the optimizer's moments, if it says.
    fn state_bytes(&self) -> Option<u64>;
}

/// Everything that a trainer is built from.
pub struct Setup<'a> {
    pub target: &'a Target,
    /// The initial splats.
    pub rows: Vec<Row>,
    /// The greatest number of splats.
    pub most: usize,
    /// The number of rows in the buffers, a multiple of 4: Adam moves 4 elements at a time.
    pub capacity: usize,
    pub settings: Settings,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The number of steps before it.
    pub step: u32,
    /// Mean squared error, of colours that are clamped to 0..1.
    pub error: f64,
    pub splats: u32,
}

impl Score {
    /// Peak signal-to-noise ratio in decibels.
    pub fn psnr(&self) -> f64 {
        -10.0 * self.error.log10()
    }
}
