//! The adapter on burn's wgpu backend. burn's own optimizers, float64 and the CPU counterpart of the crate are the references.

mod groups;
mod parity;
mod records;
mod scene;
mod shared;
mod tensors;
mod threads;
