#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod adam;
mod bind;
mod clock;
mod config;
pub mod cpu;
mod error;
mod kernels;
mod plan;
pub mod preset;
mod readback;
mod report;
mod state;
mod tensor;
mod variant;

#[cfg(test)]
extern crate self as wgpu_adam;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod on_device;
#[cfg(test)]
#[path = "../tests/scene/mod.rs"]
mod scene;

pub use adam::Adam;
pub use config::{Clip, Config, Decay, Options};
pub use error::Error;
pub use report::{GroupReport, Report};
pub use state::{Moments, State};
pub use tensor::{Format, Group, Tensor, View};
pub use variant::Variant;
