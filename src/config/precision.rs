//! The precision of state and parameters.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The storage formats of the state, and the rounding of 16-bit parameters.
///
/// All arithmetic is in f32. Narrower formats apply only to storage.
///
/// ```
/// use wgpu_adam::precision::{Master, Precision, StateDtype};
/// use wgpu_adam::Options;
/// // Moments of 4 bytes per element instead of 8, and bf16 parameters with 16 more bits of precision.
/// let precision = Precision { state: StateDtype::Bf16, master: Master::Remainder, ..Precision::default() };
/// let options = Options { precision, ..Options::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Precision {
    /// The storage format of `m`, `v`, `v_max` and `grad_avg`. Default: [`StateDtype::F32`].
    pub state: StateDtype,
    /// The smallest length of a tensor, in elements, at which [`state`](Self::state) applies. Moments of shorter
    /// tensors stay in f32. Default: 4,096, as in bitsandbytes (`min_8bit_size`).
    pub state_min_len: u64,
    /// The rounding of moments that are not f32. Default: [`Rounding::Stochastic`].
    ///
    /// With `beta2` = 0.999, a step changes `v` by about a thousandth, which is less than half a unit in the last place
    /// of a bf16. Rounding to nearest would lose each such change.
    pub state_rounding: Rounding,
    /// The rounding of 16-bit parameters without a [`master`](Self::master). Default: [`Rounding::Nearest`].
    ///
    /// Rounding to nearest loses a step below half a unit in the last place, so that the parameter stops moving.
    pub param_rounding: Rounding,
    /// Additional bits of 16-bit parameters. Default: [`Master::None`].
    pub master: Master,
    /// The seed of stochastic rounding. The rounding of an element depends on the seed, on `t`, on the name of the
    /// tensor and on the number of the element in the tensor. It does not depend on the layout of the buffers, on the
    /// order of the tensors or on other tensors. Default: 0.
    pub seed: u32,
}

impl Default for Precision {
    fn default() -> Self {
        Self {
            state: StateDtype::F32,
            state_min_len: 4096,
            state_rounding: Rounding::Stochastic,
            param_rounding: Rounding::Nearest,
            master: Master::None,
            seed: 0,
        }
    }
}

/// The storage format of `m`, `v`, `v_max` and `grad_avg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StateDtype {
    /// f32: 4 bytes per element and moment.
    #[default]
    F32,
    /// bf16: 2 bytes per element and moment.
    Bf16,
    /// 8-bit floats in blocks: 1 byte per element and moment, and a 4-byte scale for each block of
    /// [`BLOCK`](crate::precision::BLOCK) elements.
    ///
    /// The scale is the largest magnitude in the block, but at least 2^-104 for `m` and `grad_avg` and 2^-85 for `v` and `v_max`.
    ///
    /// | | 3 bits of mantissa | 2 bits of mantissa | below |
    /// |---|---|---|---|
    /// | `m`, `grad_avg` (signed) | down to 2^-11 of the scale | down to 7e-7 of the scale | 0 |
    /// | `v`, `v_max` | down to 2^-24 of the scale | down to 1.6e-12 of the scale | the smallest code |
    ///
    /// A non-zero second moment is never rounded to zero, since a step would then have no bound. Zero is exact. A
    /// non-finite moment becomes NaN and leaves the rest of its block intact. A first moment below 2^-125 becomes zero.
    ///
    /// A tensor must begin at a multiple of 4 elements in its parameter buffer.
    ///
    /// The idea is from Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization" (arXiv:2110.02861). The
    /// codes are different.
    Block8,
}

/// The rounding to a narrower format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rounding {
    /// To the nearest number; ties to even.
    #[default]
    Nearest,
    /// Stochastic rounding: up or down, with probabilities that make the expected value exact.
    ///
    /// The random bits are a function of [`Precision::seed`], `t`, the tensor's name and the element. Runs are
    /// reproducible, and the CPU optimizer makes the same bits.
    Stochastic,
}

/// Additional bits of 16-bit parameters, so that small steps are not lost. 32-bit parameters have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Master {
    /// None.
    #[default]
    None,
    /// An f32 master copy: 4 bytes per element. The parameter is the copy rounded to nearest, ties to even. A parameter
    /// that the caller overwrites restarts its copy.
    F32,
    /// The 16 bits that a bf16 parameter lacks to an f32: 2 bytes per element. Parameter and remainder together are the
    /// exact f32. The parameter is that f32 rounded to nearest, ties away from zero.
    Remainder,
}

impl Precision {
    /// `group` is `None` for the precision in [`Options`](crate::Options).
    pub(crate) fn validate(&self, group: Option<usize>) -> Result<(), Error> {
        if self.master != Master::None && self.param_rounding == Rounding::Stochastic {
            let reason = "param_rounding must be Nearest with a master, which the parameter is rounded from";
            return Err(Error::Precision { group, reason });
        }
        Ok(())
    }

    /// The format of a tensor's moments.
    pub(crate) fn state_of(&self, len: u64) -> StateDtype {
        if len < self.state_min_len { StateDtype::F32 } else { self.state }
    }
}
