//! The interface of a training on GPU or CPU.

use crate::{batch::Batch, random::Random};
use wgpu_adam::Config;
use wgpu_adam::rows::{Active, GradRows, RowSteps, Rows};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The names of the two tables.
pub const TABLES: [&str; 2] = ["words", "contexts"];

/// Two tables of embeddings, a row for each word. A pair of a word and a context has a score, the product of their rows:
///
/// ```text
/// loss = sum over pairs of softplus(-score) for neighbours, softplus(score) for random pairs
/// ```
pub trait Trainer {
    /// Makes a step.
    fn step(&mut self, batch: &Batch) -> Result<()>;

    /// Waits for all steps.
    fn wait(&mut self) -> Result<()>;

    /// Returns the sum of the losses since the last call.
    fn loss(&mut self) -> Result<f64>;

    /// Returns one of the tables.
    fn table(&mut self, table: usize) -> Result<Vec<f32>>;

    /// Computes the gradient without a step. Returns that of the rows that the batch touches, for each table.
    #[cfg(test)]
    fn gradient(&mut self, batch: &Batch) -> Result<[Vec<f32>; 2]>;
}

/// What a trainer is built from.
pub struct Setup {
    pub dim: usize,
    /// Number of pairs of neighbours in a batch.
    pub batch: usize,
    pub tables: [Vec<f32>; 2],
}

impl Setup {
    /// Tables of `rows` rows: random words, and contexts of zeros.
    pub fn new(rows: usize, dim: usize, batch: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let words = (0..rows * dim).map(|_| random.uniform(0.5 / dim as f32)).collect();
        Self { dim, batch, tables: [words, vec![0.0; rows * dim]] }
    }

    pub fn config(&self) -> Config {
        Config { lr: 0.01, ..Config::default() }
    }

    /// Only listed rows are stepped. Gradient k is that of row k of the list. Each row counts its own steps, so that the
    /// first step of a rare word is as large as that of any other.
    pub fn rows<V>(&self, indices: V, count: V, inverse: V) -> Rows<V> {
        Rows {
            active: Active::List { indices, count },
            grad_rows: GradRows::Compact { inverse },
            steps: RowSteps::PerRow,
            ..Rows::new(self.dim as u32)
        }
    }
}
