#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod adam;
mod bind;
mod blocks;
mod bound;
mod bundle;
mod clock;
mod config;
mod control;
pub mod cpu;
mod curves;
#[cfg(not(target_arch = "wasm32"))]
mod disk;
mod error;
mod faults;
mod file;
mod fixed;
mod format;
mod group;
mod home;
mod insight;
mod kernels;
mod kind;
mod launch;
mod limits;
mod loss_scale;
mod measured;
mod members;
mod memory;
mod noise;
mod phase;
mod plan;
pub mod preset;
mod probe;
mod readback;
mod report;
mod resume;
mod roster;
mod schedule;
mod state;
mod tensor;
mod transfer;
mod uniforms;
mod variant;

#[cfg(test)]
extern crate self as wgpu_adam;
#[cfg(test)]
mod in_float64;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod mutations_of_formats;
#[cfg(test)]
mod mutations_of_insight;
#[cfg(test)]
#[path = "../tests/scene/mod.rs"]
mod scene;

pub use adam::Adam;
pub use config::{Clip, Config, Decay, Options};
pub use error::Error;
pub use format::{BLOCK, Element, Format, Master, Precision, Rounding, StateFormat};
pub use group::Group;
pub use insight::{Insight, Measures, Snr, StepSize, TensorMeasures};
pub use loss_scale::{LossScale, LossScaleState};
pub use memory::MemoryUse;
pub use probe::Probe;
pub use report::{GroupReport, Report};
pub use schedule::Schedule;
pub use state::{ClockState, GroupState, MemoryState, State, TensorState};
pub use tensor::{Tensor, View};
pub use transfer::{Progress, Transfer};
pub use variant::{Memory, Variant};
