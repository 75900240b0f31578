//! The integration tests: one binary, so that the library and wgpu are linked once.

mod blocks;
mod centered;
mod child;
mod claims;
mod errors;
mod family;
mod faults;
mod files;
mod formats;
mod golden;
mod guard;
mod house;
mod insight;
mod layouts;
mod limits;
mod loss_scale;
mod members;
mod memory;
mod parity;
mod pytorch;
mod sampling;
mod scene;
mod schedules;
mod setters;
mod soak;
mod state;
