//! The integration tests: one binary, so that the library and wgpu are linked once.

mod active;
mod blocks;
mod centered;
mod child;
mod claims;
mod clamp;
mod decay;
mod errors;
mod extremes;
mod family;
mod faults;
mod files;
mod fit;
mod formats;
mod golden;
mod grads;
mod group_clip;
mod guard;
mod house;
mod insight;
mod layouts;
mod limits;
mod loss_scale;
mod members;
mod memory;
mod modes;

mod parity;
mod pytorch;
mod rescale;
mod rows;
mod sampling;
#[cfg(unix)]
mod saving;
mod scene;
mod schedules;
mod setters;
mod soak;
mod state;
