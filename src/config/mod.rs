//! What the caller asks for: plain structs with defaults, and the checks that they make sense.

pub(crate) mod check;
pub(crate) mod dtype;
pub(crate) mod grads;
pub(crate) mod group;
pub(crate) mod hyperparameters;
pub(crate) mod loss_scale;
pub(crate) mod options;
pub(crate) mod precision;
pub mod preset;
pub(crate) mod rows;
pub(crate) mod rule;
pub(crate) mod schedule;
pub mod splats;
pub(crate) mod step_bound;
pub(crate) mod tensor;
pub(crate) mod variant;
pub(crate) mod view;
