//! The command line.

use clap::{Parser, value_parser};
use std::path::PathBuf;

/// Train word embeddings (skip-gram with negative sampling) on the GPU. A step changes the rows of the words in its batch,
/// and costs what these rows cost, whatever the size of the vocabulary.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Text to train on [default: this crate's LICENSE-APACHE, which is small]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,

    /// Number of steps
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..))]
    pub steps: u32,

    /// Number of elements of an embedding
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u16).range(1..=1024))]
    pub dim: u16,

    /// Number of pairs of neighbouring words in a step
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = value_parser!(u16).range(1..=8192))]
    pub batch: u16,

    /// Seed of the initial embeddings and of the batches
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Train on the CPU, which is also the fallback if there is no GPU
    #[arg(long)]
    pub cpu: bool,
}
