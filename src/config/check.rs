//! The ranges that numbers of a configuration must be in.

use crate::error::Error;

/// A value that must be in [0, 1).
pub(crate) fn check_below_one(group: usize, field: &'static str, given: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&given) { Ok(()) } else { Err(Error::Config { group, field, given, need: "in [0, 1)" }) }
}

/// A value that must be finite in f32 and not negative.
pub(crate) fn check_non_negative(group: usize, field: &'static str, given: f64) -> Result<(), Error> {
    if given >= 0.0 && (given as f32).is_finite() {
        Ok(())
    } else {
        Err(Error::Config { group, field, given, need: "finite and not negative" })
    }
}

/// Checks the number of the first element of a part of a tensor.
pub(crate) fn check_first(tensor: &str, first: u64) -> Result<(), Error> {
    if first.is_multiple_of(4) {
        return Ok(());
    }
    let reason = "the number of its first element must be a multiple of 4, since noise belongs to quads";
    Err(Error::Storage { tensor: tensor.to_owned(), reason })
}
