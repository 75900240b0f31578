//! The result of one workgroup of `norm`, which `tick` reads. Twin of `norm/partial.wgsl`.

use crate::config::options::{Clip, Options};
use crate::num::mirror::mirror;
use crate::num::quad::WORKGROUP;
use crate::tick::clock::NONE;

/// Magnitudes from this bit pattern on are non-finite.
pub(crate) const NOT_FINITE: u32 = 0x7f80_0000;

/// Magnitudes from this bit pattern on, 2^64, have a non-finite square.
pub(crate) const NOT_SQUARABLE: u32 = 0x5f80_0000;

/// Magnitudes from this bit pattern on count as non-finite. If the gradient is clipped or unscaled before it is
/// squared, its square may be finite all the same, so only a gradient that is itself non-finite counts.
pub(crate) fn nonfinite_bits(options: &Options, units: bool) -> u32 {
    match options.clip {
        Clip::None if options.loss_scale.is_none() && !units => NOT_SQUARABLE,
        _ => NOT_FINITE,
    }
}

mirror! {
    /// Three sums of squares, and the first non-finite element of the region. Each gradient is in one of the sums.
    pub(crate) struct Partial {
        pub small: f32,
        pub middle: f32,
        pub big: f32,
        pub first_nonfinite: u32,
    }
}

mirror! {
    /// The sums of squares of a unit, as in [`Partial`], and its limit. `UnitNorm` in `unit_norm.wgsl`.
    pub(crate) struct UnitNorm {
        pub small: f32,
        pub middle: f32,
        pub big: f32,
        /// Infinite if the gradients of the unit are not clipped by its norm.
        pub max_norm: f32,
        /// [`NONE`] if no gradient counts as non-finite.
        pub first_nonfinite: u32,
    }
}

/// 2^80.
pub(crate) const UP: f32 = f32::from_bits((127 + 80) << 23);

/// 2^-80.
pub(crate) const DOWN: f32 = f32::from_bits((127 - 80) << 23);

pub(crate) const INVOCATIONS: usize = WORKGROUP as usize;

/// Adds up the partials of a workgroup's invocations in a tree of two levels of 16.
pub(crate) fn reduce(tree: &[Partial; INVOCATIONS]) -> Partial {
    let level: [Partial; 16] = std::array::from_fn(|index| {
        let terms = (index..INVOCATIONS).step_by(16).map(|i| tree[i]);
        terms.reduce(Partial::add).unwrap_or(Partial::ZERO)
    });
    level.into_iter().reduce(Partial::add).unwrap_or(Partial::ZERO)
}

impl UnitNorm {
    pub fn new(sums: Partial, max_norm: f32) -> Self {
        let Partial { small, middle, big, first_nonfinite } = sums;
        Self { small, middle, big, max_norm, first_nonfinite }
    }

    /// The sums without the limit.
    pub fn sums(&self) -> Partial {
        let Self { small, middle, big, first_nonfinite, .. } = *self;
        Partial { small, middle, big, first_nonfinite }
    }
}

impl Partial {
    pub const ZERO: Self = Self { small: 0.0, middle: 0.0, big: 0.0, first_nonfinite: NONE };

    pub fn add(self, other: Self) -> Self {
        Self {
            small: self.small + other.small,
            middle: self.middle + other.middle,
            big: self.big + other.big,
            first_nonfinite: self.first_nonfinite.min(other.first_nonfinite),
        }
    }
}
