//! The sums of squares of gradients, which optimizers add up to decide alike.

use bytemuck::{cast_slice, pod_read_unaligned};

use crate::error::Error;
use crate::tick::partial::{Partial, UnitNorm};

/// The sums of the squares of an optimizer's gradients, which several optimizers add up to clip and skip alike: see
/// [`Adam::norm`](crate::Adam::norm).
///
/// There is one record of all gradients, and one for each group or tensor that is clipped by a norm of its own. A record has
/// three sums, at scales at which no square overflows or vanishes, and whether a gradient counts as non-finite. There are no
/// records without [`Options::share_norm`](crate::Options::share_norm).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormSums {
    pub(crate) units: Vec<UnitNorm>,
}

impl NormSums {
    /// Sums of units with these limits.
    pub(crate) fn with_limits<'a>(limits: impl Iterator<Item = &'a f32>) -> Self {
        Self { units: limits.map(|&max_norm| UnitNorm::new(Partial::ZERO, max_norm)).collect() }
    }

    /// Reads the bytes of [`Adam::norm_buffer`](crate::Adam::norm_buffer), or those of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// Returns [`Error::NormSums`] if they are no whole records.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let records = bytes.chunks_exact(size_of::<UnitNorm>());
        if !records.remainder().is_empty() {
            let (given, need) = (bytes.len(), size_of::<UnitNorm>());
            return Err(Error::NormSums { reason: format!("there are {given} bytes, but records have {need} each") });
        }
        Ok(Self { units: records.map(pod_read_unaligned).collect() })
    }

    /// Returns the bytes, as they are in [`Adam::norm_buffer`](crate::Adam::norm_buffer).
    pub fn to_bytes(&self) -> Vec<u8> {
        cast_slice(&self.units).to_vec()
    }

    /// Adds the sums of another optimizer, record by record, in f32.
    ///
    /// Every device gets the same bits if all add in the same order. The order of the records is that of the groups and
    /// tensors that are clipped by norms of their own. These must be the same in both optimizers.
    ///
    /// # Errors
    /// Returns [`Error::NormSums`] if the number or the limits of the records differ. Nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), Error> {
        self.check(other)?;
        for (unit, other) in self.units.iter_mut().zip(&other.units) {
            *unit = UnitNorm::new(unit.sums().add(other.sums()), unit.max_norm);
        }
        Ok(())
    }

    /// Checks that other sums have the same records.
    pub(crate) fn check(&self, other: &Self) -> Result<(), Error> {
        let limits = |sums: &Self| sums.units.iter().map(|unit| unit.max_norm).collect::<Vec<f32>>();
        let (given, need) = (limits(other), limits(self));
        if given != need {
            let reason = format!("the records have the limits {given:?}, but must have {need:?}");
            return Err(Error::NormSums { reason });
        }
        Ok(())
    }
}
