//! What a fit starts from, and what it reaches.

use super::{optimizer::Settings, splat::Row, target::Target};

/// Everything that a fit is built from.
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
    /// Makes a score of what the kernel `score` writes for a picture of so many pixels.
    pub fn new(step: u32, [sum, splats]: [f32; 2], pixels: usize) -> Self {
        Self { step, error: f64::from(sum) / (3 * pixels) as f64, splats: splats as u32 }
    }

    /// Peak signal-to-noise ratio in decibels.
    pub fn psnr(&self) -> f64 {
        -10.0 * self.error.log10()
    }
}
