//! Data-parallel training with [`wgpu_adam`] on more than one machine, over MPI, with the optimizer's state divided among
//! the ranks (ZeRO stage 1: Rajbhandari et al. 2020, arXiv:1910.02054).
//!
//! Every rank has all parameters and computes gradients of its own part of a batch. A step adds them up, steps a part of the
//! parameters on each rank, and gives all parameters to all ranks:
//!
//! | stage | what moves |
//! |---|---|
//! | reduce-scatter | rank r gets the gradients of its part from all ranks, and adds them in the order of the ranks |
//! | norm | every rank gets the sums of squares of all parts, and adds them in the order of the ranks: all clip and skip alike |
//! | update | nothing: rank r steps its part |
//! | all-gather | rank r sends its part of the parameters to all ranks |
//!
//! The order of every sum is fixed. So the parameters are equal bit for bit on all ranks after each step, and two runs give
//! the same bits.
//!
//! [`Sharded`] is for tensors on a GPU, and [`cpu::Sharded`] for slices. The README has an example, the faults that are
//! handled, and figures.

pub mod cpu;
mod error;
mod exchange;
mod gpu;
mod greeting;
mod layout;
mod memory;
mod moves;
mod options;
mod parts;
mod ranks;
mod refusals;
mod shards;

pub use error::Error;
pub use gpu::Sharded;
pub use options::{Options, Reduction, Wire};
pub use shards::merge;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The crate that steps.
pub use wgpu_adam;
