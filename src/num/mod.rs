//! Number formats and integer arithmetic, each file the twin of a shader of the same name.

pub(crate) mod block8;
pub(crate) mod fixed;
pub(crate) mod half;
pub(crate) mod mirror;
pub(crate) mod noise;
pub(crate) mod quad;
