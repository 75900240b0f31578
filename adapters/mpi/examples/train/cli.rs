//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use wgpu_adam_mpi::{Options, Wire};

/// Train a small network on handwritten digits, on several ranks: mpirun -np 2 train
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Folder with the IDX files of MNIST, plain or gzipped [default: the bundled 8 x 8 digits]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Train on the CPU
    #[arg(long)]
    pub cpu: bool,

    /// Number of passes over the training rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub epochs: u32,

    /// Number of rows in a minibatch of all ranks: a multiple of the number of ranks
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,

    /// Learning rate
    #[arg(long, value_name = "X", default_value_t = 5e-3)]
    pub lr: f64,

    /// Width of the hidden layer
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub hidden: u16,

    /// Seed of the initial weights and of the order of the rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Format of gradients on the wire
    #[arg(long, value_enum, default_value_t = Format::F32)]
    pub wire: Format,
}

/// The values of `--wire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    F32,
    F16,
    Bf16,
}

impl Cli {
    /// The options of the optimizer: it clips, and skips non-finite gradients, so that the ranks share a norm.
    pub fn options(&self) -> Options {
        let wire = match self.wire {
            Format::F32 => Wire::F32,
            Format::F16 => Wire::F16,
            Format::Bf16 => Wire::Bf16,
        };
        let clip = wgpu_adam::Clip::GlobalNorm(5.0);
        let adam = wgpu_adam::Options { clip, skip_nonfinite: true, ..wgpu_adam::Options::default() };
        Options { adam, wire, ..Options::default() }
    }
}
