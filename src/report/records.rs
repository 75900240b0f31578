//! The measurements of a tensor or of a part of one, as the device has them: the structs of `records.wgsl` and
//! `insight_finish.wgsl`. The twins of the functions in those files are in `src/cpu/records.rs` and
//! `src/cpu/insight.rs`.

use crate::num::mirror::mirror;
use crate::plan::region::Tile;

/// Bins of the signal-to-noise ratio.
pub(crate) const BINS: usize = 16;
/// The exponent of a sum with a non-finite term.
pub(crate) const NOT_FINITE: u32 = 255;

mirror! {
    /// A sum of squares with a separate exponent: `sum * 2^(2*(exponent - 128))`. There is no sum if the exponent is
    /// [`NOT_FINITE`].
    pub(crate) struct Squares {
        pub sum: f32,
        pub exponent: u32,
    }
}

mirror! {
    /// The two sums of squares that the factor of a tensor's step is made of. `Measured` in `sums.wgsl`.
    pub(crate) struct Sums {
        pub above: Squares,
        pub below: Squares,
    }
}

mirror! {
    pub(crate) struct Measured {
        /// The finite gradients, as stored in the caller's buffer.
        pub grad: Squares,
        /// The parameters before the step.
        pub param: Squares,
        /// The step without decoupled decay.
        pub step: Squares,
        /// The step with decoupled decay.
        pub update: Squares,
        /// The sum of the signal-to-noise ratios in the bins.
        pub snr: f32,
        /// The bits of the largest magnitude of a step.
        pub largest_step: u32,
        /// The number of gradients that are zero.
        pub zero: u32,
        /// The number of non-finite gradients.
        pub nonfinite: u32,
        /// The number of elements.
        pub elements: u32,
    }
}

mirror! {
    /// The tile of a workgroup, and its measurements.
    pub(crate) struct Record {
        pub tile: Tile,
        pub measured: Measured,
        pub bins: [u32; BINS],
    }
}

mirror! {
    /// The records of one segment.
    pub(crate) struct RecordRange {
        pub first: u32,
        pub end: u32,
        pub clock: u32,
    }
}

mirror! {
    /// The measurements of one segment, which the host reads back.
    pub(crate) struct Finding {
        pub measured: Measured,
        pub bins: [u32; BINS],
        /// 0 if the step was skipped.
        pub did_step: u32,
        /// Steps applied.
        pub t: u32,
        /// The learning rate of the step, if it was not skipped.
        pub lr: f32,
        /// 1 over the loss scale.
        pub unscale: f32,
    }
}

impl Squares {
    /// The sum as an f64, which has the range for it. NaN if a term was non-finite.
    pub fn value(self) -> f64 {
        if self.exponent == NOT_FINITE {
            return f64::NAN;
        }
        f64::from(self.sum) * 2f64.powi(2 * (self.exponent as i32 - 128))
    }
}
