//! What a step did.

pub(crate) mod insight;
pub(crate) mod memory_use;
pub(crate) mod norm_sums;
pub(crate) mod records;
pub(crate) mod step;
