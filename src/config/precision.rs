//! How numbers are stored: the formats of the caller's views, and how the optimizer keeps what it remembers.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How precisely an optimizer keeps what it remembers, and how it rounds parameters of 16 bits. The arithmetic is f32
/// throughout; only what is stored is narrower.
///
/// ```
/// use wgpu_adam::{Options, Precision};
/// use wgpu_adam::precision::{Master, StateDtype};
/// // 4 bytes of moments an element in place of 8, and parameters in bf16 with what they lack to an f32 beside them.
/// let precision = Precision { state: StateDtype::Bf16, master: Master::Remainder, ..Precision::default() };
/// let options = Options { precision, ..Options::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Precision {
    /// How `m`, `v` and `v_max` are stored.
    pub state: StateDtype,
    /// Tensors with fewer elements keep them in f32 all the same: biases and scales are few and matter. 4,096 by default, as
    /// in bitsandbytes (`min_8bit_size`).
    pub state_min_len: u64,
    /// How `m`, `v` and `v_max` are rounded where they are not f32. Stochastic by default: with beta2 = 0.999 a step changes
    /// `v` by about a thousandth, which to nearest is less than half a unit in the last place of a bf16 and would be lost
    /// each time.
    pub state_rounding: Rounding,
    /// How parameters of 16 bits are rounded that have no [`master`](Self::master). To nearest by default, which loses a
    /// step that is below half a unit in the last place: such a parameter stands still.
    pub param_rounding: Rounding,
    /// What is kept beside parameters of 16 bits.
    pub master: Master,
    /// Seed of the stochastic roundings. They depend on it, on the step's t and on the element's place, and on nothing else.
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

/// How `m`, `v` and `v_max` are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StateDtype {
    /// 4 bytes an element each.
    #[default]
    F32,
    /// 2 bytes an element each.
    Bf16,
    /// 1 byte an element each, and 4 for each block of [`BLOCK`](crate::precision::BLOCK) elements: 8-bit floats that share a scale, the largest
    /// magnitude in the block. `m` has a sign, 3 bits of mantissa down to 2^-11 of the scale and 2 bits down to 7e-7 of it,
    /// and is zero below; `v` and `v_max` have 3 bits down to 2^-24 and 2 bits down to 1.6e-12, and are no smaller: a second
    /// moment that came to be zero would make a step without bound. Zero is exact. What is not finite stays in its element
    /// (as NaN), what is below 2^-125 is zero.
    ///
    /// The idea is that of Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization" (arXiv:2110.02861); the code
    /// is another. A tensor must begin at a multiple of 4 elements in the buffer of its params.
    Block8,
}

/// What becomes of the bits that a narrower format has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rounding {
    /// To the nearest number, and of two to the even one.
    #[default]
    Nearest,
    /// Up or down by chance, more likely to the nearer, so that it is right on average. The chance is a function of
    /// [`Precision::seed`], the step and the element: the same in every run, and on the CPU twin.
    Stochastic,
}

/// What is kept beside parameters of 16 bits, so that small steps are not lost. Parameters of 32 bits have no need of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Master {
    /// Nothing.
    #[default]
    None,
    /// A copy in f32 (4 bytes), of which the parameter is the rounding to nearest even. Where the caller has written another
    /// value into the parameter, the copy begins anew from that.
    F32,
    /// For bf16: the 16 bits that are lacking (2 bytes). Parameter and remainder together are exactly the f32; the parameter
    /// is its rounding to nearest, and of two the one farther from zero.
    Remainder,
}

impl Precision {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.master != Master::None && self.param_rounding == Rounding::Stochastic {
            let reason =
                "with a master the parameter is its rounding to nearest: stochastic rounding makes no sense there";
            return Err(Error::Precision { reason });
        }
        Ok(())
    }

    /// The format of a tensor's moments.
    pub(crate) fn state_of(&self, len: u64) -> StateDtype {
        if len < self.state_min_len { StateDtype::F32 } else { self.state }
    }
}
