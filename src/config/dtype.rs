//! How numbers are stored.

use serde::{Deserialize, Serialize};

/// How the elements of a [`View`](crate::View) are stored. No device feature is needed for any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Format {
    /// 32-bit IEEE floats.
    #[default]
    F32,
    /// 16-bit IEEE floats ("half"), two in a word of 32 bits, the first in its lower half.
    F16,
    /// The upper 16 bits of an f32, likewise.
    Bf16,
    /// For gradients: 32-bit integers that count units of `scale`. WGSL has no atomic floats; such gradients can be summed
    /// with `atomicAdd`.
    I32 {
        /// What 1 stands for: finite and above 0.
        scale: f32,
    },
}

/// A format without its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stored {
    F32,
    F16,
    Bf16,
    I32,
}

impl Format {
    /// Bytes an element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 { .. } => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    pub(crate) fn stored(self) -> Stored {
        match self {
            Self::F32 => Stored::F32,
            Self::F16 => Stored::F16,
            Self::Bf16 => Stored::Bf16,
            Self::I32 { .. } => Stored::I32,
        }
    }

    /// What the kernels multiply by: 1 but for integers.
    pub(crate) fn scale(self) -> f32 {
        if let Self::I32 { scale } = self { scale } else { 1.0 }
    }
}

impl Stored {
    #[cfg(test)]
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::I32];

    pub fn bytes(self) -> u64 {
        if self.is_half() { 2 } else { 4 }
    }

    pub fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }
}

/// How the elements of something that is remembered are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// 32-bit IEEE floats.
    F32,
    /// The upper 16 bits of an f32.
    Bf16,
    /// 16-bit integers: what a bf16 lacks to an f32, in units of its last place.
    I16,
    /// Codes of [`StateFormat::Block8`](crate::StateFormat::Block8).
    U8,
}

impl Element {
    /// Bytes an element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::I16 => 2,
            Self::U8 => 1,
        }
    }
}
