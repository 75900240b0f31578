//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::rows::{RowSteps, SecondMoment};

/// Fit an image with 2D Gaussians ("splats"). Rendering, gradients, Adam, pruning, cloning and splitting all run on the
/// GPU, in place.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "A line shows the peak signal-to-noise ratio (PSNR) of the image at that step. Every 100 steps of the \
    first three quarters, splats that are almost transparent or outside the image are pruned, and those that many pixels \
    pull at are split or cloned."
)]
pub struct Cli {
    /// PNG or JPEG to fit [default: the bundled portrait of an astronaut]
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,

    /// Longest side in pixels; a larger image is scaled down
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=8192), requires = "image")]
    pub size: u32,

    /// Maximum number of splats
    #[arg(long, value_name = "N", default_value_t = 8000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub splats: u32,

    /// Number of splats at the start [default: a quarter of the maximum]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub start: Option<u32>,

    /// Start with the maximum, and never prune, clone or split
    #[arg(long, conflicts_with = "start")]
    pub fixed: bool,

    /// Number of steps
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,

    /// Factor of all learning rates
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = positive, allow_negative_numbers = true)]
    pub lr: f64,

    /// Storage format of Adam's moments
    #[arg(long, value_enum, default_value_t = Moments::F32)]
    pub moments: Moments,

    /// What Adam's second moment averages
    #[arg(long, value_enum, default_value_t = Second::Elementwise)]
    pub second_moment: Second,

    /// Step counts of the bias correction
    #[arg(long, value_enum, default_value_t = Counts::PerRow)]
    pub row_steps: Counts,

    /// Seed of the initial splats and of stochastic rounding
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Fit on the CPU, which is also the fallback if there is no GPU
    #[arg(long)]
    pub cpu: bool,

    /// PNG file for the target, the result and 10 times the error, side by side
    #[arg(long, value_name = "FILE", default_value = "splats.png", value_parser = png)]
    pub output: PathBuf,

    /// Folder for a PNG of the image at each score
    #[arg(long, value_name = "DIR")]
    pub frames: Option<PathBuf>,
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

impl From<Moments> for StateDtype {
    fn from(moments: Moments) -> Self {
        match moments {
            Moments::F32 => Self::F32,
            Moments::Bf16 => Self::Bf16,
            Moments::Block8 => Self::Block8,
        }
    }
}

impl From<Second> for SecondMoment {
    fn from(second: Second) -> Self {
        match second {
            Second::Elementwise => Self::Elementwise,
            Second::RowMean => Self::RowMean,
            Second::RowSum => Self::RowSum,
        }
    }
}

impl From<Counts> for RowSteps {
    fn from(counts: Counts) -> Self {
        match counts {
            Counts::PerRow => Self::PerRow,
            Counts::Shared => Self::Shared,
        }
    }
}

impl Cli {
    /// Returns the number of splats at the start.
    pub fn start(&self) -> u32 {
        let default = if self.fixed { self.splats } else { self.splats.div_ceil(4) };
        self.start.unwrap_or(default).min(self.splats)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (*number as f32).is_finite() && *number > 0.0);
    number.ok_or("not a number greater than 0 within the range of f32".into())
}

fn png(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png { Ok(path) } else { Err("the picture is a PNG, so its name must end in .png".into()) }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
        let start = |arguments: &[&str]| Cli::try_parse_from([&["splats"], arguments].concat()).unwrap().start();
        assert_eq!(start(&[]), 2000);
        assert_eq!(start(&["--fixed"]), 8000);
        assert_eq!(start(&["--splats", "1"]), 1);
        assert_eq!(start(&["--splats", "100", "--start", "500"]), 100);
        start(&["--image", "a.jpg", "--size", "512", "--moments", "block8", "--frames", "here"]);
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for invalid in [
            ["--splats", "0"],
            ["--start", "0"],
            ["--steps", "0"],
            ["--lr", "0"],
            ["--lr", "NaN"],
            ["--lr", "1e39"],
            ["--size", "512"],
            ["--output", "splats.jpg"],
            ["--moments", "f16"],
        ] {
            assert!(Cli::try_parse_from([&["splats"], &invalid[..]].concat()).is_err(), "{invalid:?}");
        }
    }
}
