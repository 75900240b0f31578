//! The interface of a fit on GPU or CPU.

use crate::setup::Score;

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
