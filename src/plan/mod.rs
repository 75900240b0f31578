//! How tensors become dispatches. These are pure functions that need no GPU.

pub(crate) mod batch;
pub(crate) mod buffer_layout;
pub(crate) mod clocks;
pub(crate) mod limits;
pub(crate) mod partition;
pub(crate) mod region;
pub(crate) mod rescales;
pub(crate) mod rows;
pub(crate) mod storage;
pub(crate) mod units;
pub(crate) mod validate;
pub(crate) mod window;
