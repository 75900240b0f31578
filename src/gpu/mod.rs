//! The optimizer on the GPU.

pub(crate) mod adam;
pub(crate) mod binding;
pub(crate) mod blame;
pub(crate) mod buffers;
pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod check_list;
pub(crate) mod compose;
pub(crate) mod compose_access;
pub(crate) mod compose_rows;
pub(crate) mod dispatch;
pub(crate) mod edit;
pub(crate) mod error_scopes;
pub(crate) mod gather;
pub(crate) mod grad_places;
pub(crate) mod grads;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod modes;
pub(crate) mod module;
pub(crate) mod norm;
pub(crate) mod pipelines;
pub(crate) mod probe;
pub(crate) mod readback;
pub(crate) mod rescale;
pub(crate) mod rows;
pub(crate) mod setters;
pub(crate) mod state_buffers;
pub(crate) mod state_io;
#[cfg(test)]
mod tests;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
pub(crate) mod tick;
pub(crate) mod transfer;
pub(crate) mod uniforms;
pub(crate) mod update;
