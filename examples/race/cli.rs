//! The command line.

use clap::{Parser, value_parser};
use std::path::PathBuf;

/// Let the rules of this crate race: a small network on digits, logistic regression on digits, and a classifier of words. All
/// rules train side by side on the GPU, as groups of one optimizer. Each has the best learning rate of its grid.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "The columns: the rate, which had the lowest loss on a validation part of the training rows (* if it is at an end \
    of the grid); the steps to the loss that Adam has after half of its steps, the median of the seeds; the held-out accuracy \
    after the last step, its mean and its standard deviation over the seeds; the bytes of state for each parameter, and the \
    time of a step for a million parameters in times that of Adam, medians of measurements in turn."
)]
pub struct Cli {
    /// Folder with MNIST's files, plain or gzipped, for the logistic regression [default: the bundled 8 x 8 digits]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Number of training rows of DIR, from its beginning
    #[arg(long, value_name = "N", default_value_t = 10000, value_parser = value_parser!(u32).range(100..), requires = "data")]
    pub rows: u32,

    /// Number of seeds: of the initial weights and of the order of the rows
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u64).range(1..=100))]
    pub seeds: u64,

    /// Number of steps of a race, at least: the epochs are whole
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,

    /// SVG file for the plot of losses and accuracies
    #[arg(long, value_name = "FILE", default_value = "race.svg")]
    pub plot: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
        Cli::try_parse_from(["race", "--data", "here", "--rows", "1000", "--seeds", "2", "--steps", "3"]).unwrap();
        for invalid in [["--seeds", "0"], ["--steps", "0"], ["--rows", "1000"]] {
            assert!(Cli::try_parse_from([&["race"], &invalid[..]].concat()).is_err(), "{invalid:?}");
        }
    }
}
