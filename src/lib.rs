#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
pub mod cpu;
mod error;
mod gpu;
mod num;
mod plan;
mod report;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
mod tick;

#[cfg(test)]
extern crate self as wgpu_adam;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod mutations_of_formats;
#[cfg(test)]
mod mutations_of_insight;
#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../tests/it/scene/mod.rs"]
mod scene;

pub use config::dtype::Dtype;
pub use config::group::Group;
pub use config::hyperparameters::{Config, Decay};
pub use config::loss_scale::LossScale;
pub use config::options::{Clip, Options};
pub use config::precision::Precision;
pub use config::preset;
pub use config::schedule::Schedule;
pub use config::tensor::{Tensor, View};
pub use config::variant::Variant;
pub use error::Error;
pub use gpu::adam::Adam;
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

/// Measurements of a step: the [`Probe`] and its results.
pub mod probe {
    pub use crate::gpu::probe::Probe;
    pub use crate::report::insight::{Insight, Measures, Snr, StepSize, TensorMeasures};
}
