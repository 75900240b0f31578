//! What can go wrong.

use std::fmt;

/// An error of this crate. The message names the tensor, what was given and what was needed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The optimizer itself refused something.
    #[error(transparent)]
    Adam(#[from] wgpu_adam::Error),
    /// No group matches a parameter.
    #[error("tensor `{tensor}`: no group matches it, but each parameter needs one: begin with ParamGroup::all()")]
    #[non_exhaustive]
    NoGroup {
        /// The path of the parameter in the module.
        tensor: String,
    },
    /// A parameter or a gradient is not of burn's wgpu backend, or on another device than the others.
    #[error("tensor `{tensor}` is on {given}, but must be on {need}")]
    #[non_exhaustive]
    Device {
        /// The path of the parameter in the module.
        tensor: String,
        /// The device of the tensor.
        given: String,
        /// The device that is needed.
        need: String,
    },
    /// A parameter or its gradient has a dtype that cannot be stepped.
    #[error("tensor `{tensor}`: its {what} has dtype {given}, but must have {need}")]
    #[non_exhaustive]
    Dtype {
        /// The path of the parameter in the module.
        tensor: String,
        /// The tensor: `param` or `grad`.
        what: &'static str,
        /// The dtype of the tensor.
        given: String,
        /// The dtype that is needed.
        need: String,
    },
    /// The parameters of one group were given different learning rates.
    #[error(
        "tensor `{tensor}`: its learning rate is {given}, but that of its group {group} is {need}: make two groups"
    )]
    #[non_exhaustive]
    Lr {
        /// The path of the parameter in the module.
        tensor: String,
        /// The number of the group, counted from 0.
        group: usize,
        /// The learning rate of the parameter.
        given: f64,
        /// The learning rate of another parameter of the group.
        need: f64,
    },
    /// An option does not fit burn.
    #[error("option {field} cannot be used with burn: {reason}")]
    #[non_exhaustive]
    Option {
        /// The field.
        field: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A record could not be made or read.
    #[error("the record cannot be used: {reason}")]
    #[non_exhaustive]
    Record {
        /// The reason.
        reason: String,
    },
    /// burn refused an operation. The reason may be a lost device.
    #[error("burn reported an error: {reason}")]
    #[non_exhaustive]
    Burn {
        /// The error of burn.
        reason: String,
    },
}

/// A step that was not made: the error, and the module as it was.
///
/// The gradients are gone. The optimizer is as before.
pub struct Refused<M> {
    /// The module, with the parameters that it had.
    pub module: M,
    /// The reason.
    pub error: Error,
}

impl<M> fmt::Debug for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<M> fmt::Display for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<M> std::error::Error for Refused<M> {}
