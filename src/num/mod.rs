//! Number formats and integer arithmetic. Most files are the twin of the shader with the same name.

pub(crate) mod block8;
pub(crate) mod crc32;
pub(crate) mod fixed;
pub(crate) mod half;
pub(crate) mod mirror;
pub(crate) mod noise;
pub(crate) mod order;
pub(crate) mod quad;
pub(crate) mod wgsl;
