//! Adam and its family as WGSL compute shaders that update your own `wgpu` buffers in place.
//!
//! You keep the device, the parameters and the gradients, and record one call into your encoder. The GPU counts the steps
//! and corrects the bias; if asked, it clips and skips non-finite gradients. The host never waits.
//!
//! ```no_run
//! use wgpu_adam::{Adam, Config, Group, Options, Tensor};
//!
//! # fn train(device: wgpu::Device, queue: wgpu::Queue, param: wgpu::Buffer, grad: wgpu::Buffer) -> Result<(), wgpu_adam::Error> {
//! let groups = [Group::new(Config::default(), vec![Tensor::f32("w", &param, &grad)])];
//! let adam = Adam::new(&device, &queue, &groups, Options::default())?;
//! let mut encoder = device.create_command_encoder(&Default::default());
//! // Your backward pass fills `grad` here.
//! adam.step(&mut encoder);
//! queue.submit([encoder.finish()]);
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | say which tensors there are | [`Tensor`] and its [`View`]s, in [`Group`]s |
//! | choose a rule and its numbers | [`Config`], [`Variant`], [`Decay`]; the defaults of other frameworks are in [`preset`] |
//! | change the learning rate over time | [`Schedule`], [`Adam::set_lr`], [`Adam::set_config`] |
//! | clip, skip non-finite gradients, zero gradients | [`Options`], [`Clip`] |
//! | train in mixed precision | [`Precision`], [`LossScale`], [`Dtype`] |
//! | train two optimizers on one loss | [`Adam::share_loss_scale`] |
//! | see what a step did | [`Adam::read_report`] gives a [`Report`]; a [`Probe`] measures each tensor |
//! | save and resume | [`Adam::read_state`] and [`Adam::load_state`] with a [`State`], which is a file or bytes |
//! | load a state into an optimizer that differs | [`State::fitted`] |
//! | add or remove tensors in mid-run | [`Adam::add`], [`Adam::remove`], [`Adam::reset`] |
//! | step the rows of splats or embeddings | [`Tensor::with_rows`], [`rows`] |
//! | take gradients that are in other buffers at each step | [`Tensor::each_step`], [`Adam::set_grads`] |
//! | leave out a tensor that has no gradient | [`Adam::set_active`], [`Adam::set_group_active`] |
//! | run without a GPU, or test | [`cpu::Adam`], [`Adam::to_cpu`] |
//!
//! An [`Error`] names the tensor or the field, what was given and what was needed. The library neither
//! panics nor prints. It logs through `log`.
//!
//! The README has performance tips, the memory of each format, and the policy for versions of wgpu.

mod config;
pub mod cpu;
mod error;
mod gpu;
mod num;
mod plan;
mod report;
pub mod state;

mod tick;

pub use config::dtype::Dtype;
pub use config::grads::Grads;
pub use config::group::Group;
pub use config::hyperparameters::{Config, Decay};
pub use config::loss_scale::LossScale;
pub use config::options::{Clip, GroupClip, Options};
pub use config::precision::Precision;
pub use config::preset;
pub use config::schedule::Schedule;
pub use config::tensor::Tensor;
pub use config::variant::Variant;
pub use config::view::View;
pub use error::Error;
pub use gpu::adam::Adam;
pub use gpu::grads::GradsSet;
pub use gpu::probe::Probe;
pub use report::memory_use::MemoryUse;
pub use report::step::{GroupReport, Report};
pub use state::contents::State;

/// The crate of the 16-bit floats in [`cpu::Values`].
pub use half;
/// The version of wgpu that this crate works with.
pub use wgpu;

/// Precision of state and parameters: storage formats and rounding.
pub mod precision {
    pub use crate::config::precision::{Master, Precision, Rounding, StateDtype};
    pub use crate::num::block8::BLOCK;
}

pub mod rows {
    //! Tensors of rows: splats, embeddings, and other parameters whose unit is a row.
    //!
    //! A tensor of [`Rows`] has a learning rate for each column and each row, second moments and step counts of rows, and steps
    //! only active rows. Clipping, skipping, loss scales, schedules, probes, all storage formats and states are as for other
    //! tensors.
    //!
    //! | to | use |
    //! |---|---|
    //! | step some rows only | [`Active`]: a mask, the first rows, or a list that the device made |
    //! | prune, clone, split or sort rows with their state | [`Adam::gather`](crate::Adam::gather) |
    //! | restart some rows | [`Adam::zero_rows`](crate::Adam::zero_rows) |
    //! | change rates in mid-run | [`Adam::set_column_lr`](crate::Adam::set_column_lr) |
    //! | find a row that is in a list twice | [`Adam::check_list`](crate::Adam::check_list) |
    //!
    //! The **capacity** of a tensor is the number of rows in its views. If the number of rows changes while it trains, make the
    //! buffers as large as it may get, and let [`Active`] say which rows exist: then nothing is allocated as they come and go.
    //! [`Adam::rebind`](crate::Adam::rebind) carries the state over to larger buffers.
    //!
    //! State is stored as in other tensors, with two differences. In 8 bits, each row has blocks of its own. In narrow formats
    //! and beside a master, a row is padded to a multiple of 4 elements on the device; rows of one or two elements keep f32
    //! moments. [`Precision::state_min_len`](crate::Precision::state_min_len) has no effect, so that the format stays as rows are
    //! added. Params and gradients in 16 bits may have any width and offset.
    //!
    //! A tensor of rows takes a dispatch of its own, and a kernel for each combination of options that is in use. Widths that are
    //! multiples of 4 are fastest: others are loaded element by element.

    pub use crate::config::rows::{Active, GradRows, RowSteps, Rows, SecondMoment};
}

/// Measurements of a step: the [`Probe`] and its results.
pub mod probe {
    pub use crate::gpu::probe::Probe;
    pub use crate::report::insight::{Insight, Measures, Snr, StepSize, TensorMeasures};
}

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
