//! The command line.

use crate::rate::Course;
use crate::storage::{Params, State, Storage};
use clap::Parser;
use std::path::PathBuf;

/// Train a small network (one hidden layer, softmax cross-entropy) to recognize digits. The forward pass, the backward
/// pass and Adam all run on the GPU, in place. The host reads back two kilobytes per epoch.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Each epoch prints the mean loss and the accuracy over the training rows (each minibatch is scored before \
    its step) and the accuracy over the held-out rows. Four steps of each epoch are measured. The rest of the line shows \
    their means: the signal-to-noise ratio of the gradients, the root mean square of the step in units of the learning \
    rate, and the root mean square of the update divided by the root mean square of the parameters."
)]
pub struct Cli {
    /// Folder with MNIST-style IDX files, plain or gzipped [default: the bundled 8 x 8 digits]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Number of classes in DIR; labels count from 0
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=256), requires = "data")]
    pub classes: u16,

    /// Train on the CPU, which is also the fallback if there is no GPU
    #[arg(long)]
    pub cpu: bool,

    /// Number of passes over the training rows [default: 30 for the digits, 5 for a folder]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub epochs: Option<u32>,

    /// Number of rows in a minibatch [default: 32 for the digits, 128 for a folder]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: Option<u16>,

    /// Peak learning rate
    #[arg(long, value_name = "X", default_value_t = 5e-3, value_parser = not_negative, allow_negative_numbers = true)]
    pub lr: f64,

    /// Course of the learning rate after the warm-up, over all remaining steps
    #[arg(long, value_enum, default_value_t = Course::Linear)]
    pub schedule: Course,

    /// Number of warm-up steps, in which the learning rate rises to its peak
    #[arg(long, value_name = "STEPS", default_value_t = 0)]
    pub warm_up: u32,

    /// Width of the hidden layer [default: 64 for the digits, 256 for a folder]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub hidden: Option<u16>,

    /// Seed of the initial weights, the order of the rows and stochastic rounding
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Decoupled weight decay (AdamW) of the weights; biases do not decay
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = not_negative, allow_negative_numbers = true)]
    pub weight_decay: f64,

    /// Clip the gradients to this global norm
    #[arg(long, value_name = "NORM", value_parser = positive, allow_negative_numbers = true)]
    pub clip: Option<f64>,

    /// Storage format of the parameters
    #[arg(long, value_enum, default_value_t = Params::F32)]
    pub params: Params,

    /// Storage format of Adam's moments
    #[arg(long, value_enum, default_value_t = State::F32)]
    pub state: State,

    /// Smallest tensor whose moments use that format, in elements; smaller tensors keep f32 moments
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub state_min_len: u64,

    /// SVG file for the plot of loss, accuracy and Adam's steps; it is redrawn after every epoch
    #[arg(long, value_name = "FILE", default_value = "train.svg", value_parser = svg)]
    pub plot: PathBuf,

    /// Do not draw the plot
    #[arg(long, conflicts_with = "plot")]
    pub no_plot: bool,

    /// Print only the held-out accuracy at the end
    #[arg(short, long)]
    pub quiet: bool,
}

/// Defaults that depend on the data set.
impl Cli {
    pub fn epochs(&self) -> u32 {
        self.epochs.unwrap_or(if self.data.is_some() { 5 } else { 30 })
    }

    pub fn batch(&self) -> usize {
        self.batch.unwrap_or(if self.data.is_some() { 128 } else { 32 }).into()
    }

    pub fn storage(&self) -> Storage {
        Storage { params: self.params, state: self.state, state_min_len: self.state_min_len }
    }

    pub fn hidden(&self) -> usize {
        self.hidden.unwrap_or(if self.data.is_some() { 256 } else { 64 }).into()
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| (*number as f32).is_finite())
        .ok_or("not a finite number within the range of f32".into())
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number >= 0.0 { Ok(number) } else { Err("must not be negative".into()) })
}

fn positive(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number > 0.0 { Ok(number) } else { Err("must be greater than 0".into()) })
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    if is_svg { Ok(path) } else { Err("the plot is an SVG file, so its name must end in .svg".into()) }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
        Cli::try_parse_from(["train"]).unwrap();
        Cli::try_parse_from(["train", "--no-plot", "--lr", "0", "--data", "here", "--classes", "26"]).unwrap();
        Cli::try_parse_from(["train", "--params", "bf16-stochastic", "--state", "block8"]).unwrap();
        Cli::try_parse_from(["train", "--schedule", "one-cycle", "--warm-up", "100"]).unwrap();
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for invalid in [
            ["--batch", "0"],
            ["--hidden", "0"],
            ["--epochs", "0"],
            ["--lr", "-1"],
            ["--lr", "NaN"],
            ["--lr", "1e39"],
            ["--clip", "0"],
            ["--weight-decay", "-0.1"],
            ["--classes", "1"],
            ["--plot", "train.png"],
            ["--seed", "x"],
            ["--schedule", "x"],
            ["--warm-up", "-1"],
            ["--state", "f16"],
        ] {
            assert!(Cli::try_parse_from([&["train"], &invalid[..]].concat()).is_err(), "{invalid:?}");
        }
    }
}
