//! What cannot be divided among ranks, with the reason.

use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Dtype, Group, GroupClip, Variant};

use crate::error::Error;
use crate::options::Options;

fn refused<T>(what: impl Into<String>, reason: &str) -> Result<T, Error> {
    Err(Error::Unsupported { what: what.into(), reason: reason.to_owned() })
}

/// Checks the options and the groups, but for their tensors.
pub(crate) fn check_groups<T>(groups: &[Group<T>], options: &Options) -> Result<(), Error> {
    if options.adam.accumulate.is_some_and(|calls| calls > 1) {
        return refused(
            "options.adam.accumulate",
            "accumulate before the step, which exchanges gradients on each call",
        );
    }
    for (i, group) in groups.iter().enumerate() {
        let what = format!("group {i}");
        if matches!(group.clip, Some(GroupClip::Tensor(_))) {
            return refused(what, "clip by GroupClip::Group: the ranks have different tensors, and no sums of each");
        }
        if matches!(group.config.variant, Variant::Lamb | Variant::Stable | Variant::Cautious) {
            return refused(what, "the factor of a step is of a whole tensor, but ranks have parts of tensors");
        }
        let precision = group.precision.as_ref().unwrap_or(&options.adam.precision);
        if precision.state != StateDtype::F32 && precision.state_min_len > 1 {
            let reason =
                "narrow moments need Precision::state_min_len of 1: parts of a tensor are shorter than the tensor";
            return refused(what, reason);
        }
    }
    Ok(())
}

/// Checks a tensor. `rows` says whether it is one of rows.
pub(crate) fn check_tensor(name: &str, len: u64, dtypes: (Dtype, Dtype), rows: bool) -> Result<(), Error> {
    let what = format!("tensor `{name}`");
    match dtypes {
        _ if rows => refused(what, "rows cannot be divided: parts end at any element"),
        (_, grad) if grad != Dtype::F32 => refused(what, "gradients must be f32: Options::wire chooses what travels"),
        (param, _) if param != Dtype::F32 && !len.is_multiple_of(2) => {
            refused(what, "16-bit parameters must be an even number, since copies move 4 bytes: pad the tensor")
        }
        _ => Ok(()),
    }
}
