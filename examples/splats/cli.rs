//! The command line.

use crate::optimizer::Moments;
use clap::Parser;
use std::path::PathBuf;

/// Fit an image with 2D Gaussians. Rendering, gradients and Adam run on the GPU, in place.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// PNG or JPEG to fit [default: the bundled portrait of an astronaut]
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,

    /// Longest side of the image in pixels; a larger image is scaled down
    #[arg(long, value_name = "PIXELS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..=4096), requires = "image")]
    pub size: u32,

    /// Number of splats at the end
    #[arg(long, value_name = "N", default_value_t = 8000, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub splats: u32,

    /// Number of splats at the start [default: a quarter of those at the end]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    pub start: Option<u32>,

    /// Number of steps
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,

    /// Factor of all learning rates
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub lr: f64,

    /// Storage format of Adam's moments
    #[arg(long, value_enum, default_value_t = Moments::F32)]
    pub moments: Moments,

    /// Seed of the initial splats and of stochastic rounding
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Fit on the CPU, which is also the fallback if there is no GPU
    #[arg(long)]
    pub cpu: bool,

    /// PNG file for the target, the result and four times the error, side by side
    #[arg(long, value_name = "FILE", default_value = "splats.png")]
    pub output: PathBuf,

    /// Folder for a picture of each score
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
}

impl Cli {
    pub fn start(&self) -> u32 {
        self.start.unwrap_or(self.splats / 4).min(self.splats)
    }
}
