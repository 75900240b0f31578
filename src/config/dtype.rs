//! Storage formats of elements.

use serde::{Deserialize, Serialize};

/// The storage format of the elements of a [`View`](crate::View) or of a saved state. No format needs a device feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Dtype {
    /// 32-bit IEEE floats.
    #[default]
    F32,
    /// 16-bit IEEE floats ("half"). Two elements share 32 bits, the first in the lower half.
    F16,
    /// bfloat16: the upper 16 bits of an f32. Packed like [`F16`](Self::F16).
    Bf16,
    /// 32-bit integers, for gradients only. They count units of [`Tensor::grad_scale`](crate::Tensor::grad_scale). WGSL
    /// has `atomicAdd` for integers and not for floats.
    I32,
    /// 32-bit unsigned integers: masks, lists and step counts of [rows](crate::rows).
    U32,
    /// 16-bit integers, for state only: the remainder of [`Master::Remainder`](crate::precision::Master::Remainder).
    I16,
    /// 8-bit codes, for state only: see [`StateDtype::Block8`](crate::precision::StateDtype::Block8).
    U8,
}

impl Dtype {
    /// The size of an element in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::U8 => 1,
        }
    }

    /// Whether it is a float of 16 bits.
    pub(crate) fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }
}
