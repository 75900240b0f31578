//! The device, and its buffers.

pub use crate::buffer::{empty, read, upload};
use crate::{Result, device};
use std::sync::Arc;
use wgpu::{Device, Queue};

#[derive(Clone)]
pub struct Gpu {
    pub device: Device,
    pub queue: Queue,
    pub name: String,
}

impl Gpu {
    pub fn open() -> Result<Self> {
        let (device, queue, name) = device::open()?;
        device.on_uncaptured_error(Arc::new(|error| {
            eprintln!("the GPU reported an error: {error}");
            std::process::exit(1);
        }));
        Ok(Self { device, queue, name })
    }
}
