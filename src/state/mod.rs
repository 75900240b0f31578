//! The state of an optimizer as plain data, its files, and its transfer between device and host.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod atomic_write;
pub(crate) mod contents;
pub(crate) mod fit;
pub(crate) mod safetensors;
pub(crate) mod transfer;

pub use crate::config::loss_scale::LossScaleState;
pub use crate::config::rule::StateKind;
pub use contents::{ClockState, GroupState, State, StateTensor, TensorState};
pub use fit::{Base, Fitted};
pub use transfer::{Progress, Transfer};
