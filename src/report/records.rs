//! What is measured of a tensor or of a part of one, as the device has it: the structs of `records.wgsl` and
//! `insight_finish.wgsl`. The functions of those files are in `cpu/measured.rs` and `cpu/insight.rs`.

use crate::num::mirror::mirror;
use crate::plan::region::Tile;

/// Bins of the signal-to-noise ratio.
pub(crate) const BINS: usize = 16;
/// Words that one invocation measures.
pub(crate) const INSIGHT_QUADS: u64 = 8;
/// The exponent of a sum with a term that is not finite.
pub(crate) const NOT_FINITE: u32 = 255;

mirror! {
    /// A sum of squares with an exponent of its own: `sum * 2^(2*(exponent - 128))`, and no sum where the exponent is
    /// [`NOT_FINITE`].
    pub(crate) struct Squares {
        pub sum: f32,
        pub exponent: u32,
    }
}

mirror! {
    pub(crate) struct Measured {
        /// Of the finite gradients, as they lie in the buffer.
        pub grad: Squares,
        /// Before the step.
        pub param: Squares,
        /// Without decoupled decay.
        pub step: Squares,
        /// With it.
        pub update: Squares,
        /// The sum of the ratios in the bins.
        pub snr: f32,
        /// The bits of its magnitude.
        pub largest_step: u32,
        /// Gradients that are zero, and that are not finite.
        pub zero: u32,
        pub nonfinite: u32,
    }
}

mirror! {
    /// What a workgroup owns, and what it found there.
    pub(crate) struct Record {
        pub tile: Tile,
        pub measured: Measured,
        pub bins: [u32; BINS],
    }
}

mirror! {
    /// The records of one part of a tensor.
    pub(crate) struct RecordRange {
        pub first: u32,
        pub end: u32,
        pub clock: u32,
    }
}

mirror! {
    /// What is read back of one part of a tensor.
    pub(crate) struct Finding {
        pub measured: Measured,
        pub bins: [u32; BINS],
        /// 0 where the step was skipped.
        pub did_step: u32,
        /// Steps applied.
        pub t: u32,
        /// Of the step, if it was not skipped.
        pub lr: f32,
        /// What takes the loss scale back from the gradients.
        pub unscale: f32,
    }
}

impl Squares {
    /// As one number, which f64 can hold; NaN where a term was not finite.
    pub fn value(self) -> f64 {
        if self.exponent == NOT_FINITE {
            return f64::NAN;
        }
        f64::from(self.sum) * 2f64.powi(2 * (self.exponent as i32 - 128))
    }
}
