//! How numbers are stored.

use serde::{Deserialize, Serialize};

/// How the elements of a [`View`](crate::View) or of a saved state are stored. None of them needs a device feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Dtype {
    /// 32-bit IEEE floats.
    #[default]
    F32,
    /// 16-bit IEEE floats ("half"). Two share 32 bits, the first in the lower half.
    F16,
    /// The upper 16 bits of an f32, packed like [`F16`](Self::F16).
    Bf16,
    /// For gradients only: 32-bit integers that count units of the tensor's [`grad_scale`](crate::Tensor::grad_scale). WGSL
    /// has no atomic floats; such gradients can be summed with `atomicAdd`.
    I32,
    /// For state only: 16-bit integers, the [`Master::Remainder`](crate::precision::Master::Remainder) of a bf16 parameter.
    I16,
    /// For state only: the codes of [`StateDtype::Block8`](crate::precision::StateDtype::Block8).
    U8,
}

impl Dtype {
    /// Bytes per element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::U8 => 1,
        }
    }

    /// Whether it is a float of 16 bits.
    pub(crate) fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }
}
