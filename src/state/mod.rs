//! The state of an optimizer as plain data, and its files.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod atomic_write;
pub(crate) mod contents;
pub(crate) mod safetensors;
