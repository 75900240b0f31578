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
