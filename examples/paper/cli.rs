//! The command line.

use clap::{Parser, ValueEnum, value_parser};
use std::path::PathBuf;

/// Redraw the experiments of Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization" (arXiv:1412.6980), in a smaller
/// size, and say which of the paper's statements are seen.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Each figure is an SVG file. All runs of an experiment train side by side on the GPU. The rate of each rule is \
    the best of a grid, by the training loss, as in the paper. The sizes of the paper are those of --rows 60000 --hidden 1000 \
    --epochs 200 for figure 2; a software adapter would take days."
)]
pub struct Cli {
    /// The figure to draw
    #[arg(long, value_enum, default_value_t = Which::All)]
    pub figure: Which,

    /// Folder with MNIST's files, plain or gzipped [default: the bundled 8 x 8 digits]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Number of training rows of DIR, from its beginning [default: all for figure 1, and 4000 for the others]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), requires = "data")]
    pub rows: Option<u32>,

    /// Number of passes over the training rows [default: 45, 40 and 40 for the figures 1, 2 and 4; 45, 12 and 10 for DIR]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    pub epochs: Option<u32>,

    /// Width of the hidden layers of the figures 2 and 4 [default: 64, and 128 for DIR in figure 2]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub hidden: Option<u16>,

    /// Seed of the initial weights, the order of the rows, and dropout
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
    #[value(name = "4")]
    Four,
    All,
}

impl Cli {
    pub fn wants(&self, figure: Which) -> bool {
        [figure, Which::All].contains(&self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_valid() {
        Cli::command().debug_assert();
        Cli::try_parse_from(["paper", "--figure", "4", "--data", "here", "--rows", "100", "--hidden", "8"]).unwrap();
        for invalid in [["--figure", "3"], ["--epochs", "0"], ["--rows", "5"], ["--hidden", "0"]] {
            assert!(Cli::try_parse_from([&["paper"], &invalid[..]].concat()).is_err(), "{invalid:?}");
        }
    }
}
