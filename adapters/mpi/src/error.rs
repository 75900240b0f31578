//! What can go wrong, on this rank or on another.

/// An error of this crate.
///
/// If a constructor, a step or a load fails on one rank, it fails on all: on the others with [`Error::Rank`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The optimizer of this rank failed.
    #[error(transparent)]
    Adam(#[from] wgpu_adam::Error),
    /// Another rank failed.
    #[error("rank {rank}: {reason}")]
    #[non_exhaustive]
    Rank {
        /// The rank.
        rank: usize,
        /// Its error.
        reason: String,
    },
    /// A rank was made with something else than rank 0.
    #[error("rank {rank} differs from rank 0 in {what}: it has {given}, but rank 0 has {need}")]
    #[non_exhaustive]
    Differs {
        /// The rank.
        rank: usize,
        /// What differs.
        what: String,
        /// What the rank has.
        given: String,
        /// What rank 0 has.
        need: String,
    },
    /// The configuration needs what is not there if the state is divided.
    #[error("{what}: {reason}")]
    #[non_exhaustive]
    Unsupported {
        /// The field, the group or the tensor.
        what: String,
        /// The reason, and what to do.
        reason: String,
    },
    /// There are too few elements for all ranks.
    #[error("{blocks} blocks of 256 elements cannot be divided among {ranks} ranks: each needs a block")]
    #[non_exhaustive]
    TooFew {
        /// The blocks of all tensors.
        blocks: u64,
        /// The ranks.
        ranks: usize,
    },
    /// A step got another number of tensors.
    #[error("there are {given} tensors, but the optimizer has {need}")]
    #[non_exhaustive]
    TensorCount {
        /// The number that was given.
        given: usize,
        /// The number that was needed.
        need: usize,
    },
    /// A tensor of a state or of a step is not that of the optimizer.
    #[error("tensor `{tensor}`: {reason}")]
    #[non_exhaustive]
    State {
        /// The tensor.
        tensor: String,
        /// What was given, and what was needed.
        reason: String,
    },
    /// The device of this rank failed while it moved parameters or gradients.
    #[error("moving parameters and gradients: {reason}")]
    #[non_exhaustive]
    Device {
        /// What wgpu says.
        reason: String,
    },
}
