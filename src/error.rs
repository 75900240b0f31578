//! Everything that can go wrong, in one enum, sorted by who can act on it: the caller, the device, the data.

use wgpu::BufferUsages;

/// What went wrong. Every message names the tensor or the field, what was given and what was needed.
///
/// An error from a constructor or a setter means that nothing was changed and nothing was recorded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the messages say they are")]
pub enum Error {
    // --- the caller's configuration ---
    /// A value in a [`Config`](crate::Config) is out of its range.
    #[error("group {group}: {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Config { group: usize, field: &'static str, given: f64, need: &'static str },
    /// A field of a [`Config`](crate::Config) that its variant does not use is not at its default.
    #[error("group {group}: {field} is {given}, but {variant} does not use it: it must be {need}, the default")]
    #[non_exhaustive]
    UnusedField { group: usize, field: &'static str, given: String, variant: &'static str, need: String },
    /// A value in a [`Schedule`](crate::Schedule) is out of its range; `field` is the way to it.
    #[error("group {group}: {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Schedule { group: usize, field: String, given: f64, need: &'static str },
    /// A value in [`Options`](crate::Options) is out of its range.
    #[error("option {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Option { field: &'static str, given: f64, need: &'static str },
    /// `set_config` was called with a variant of another rule. A rule is compiled and has its own state.
    #[error("group {group}: the new configuration's rule is {given}, but must stay {need}")]
    #[non_exhaustive]
    OtherRule { group: usize, given: String, need: String },
    /// A group that does not exist was named.
    #[error("group {group} does not exist: there are {groups}, counted from 0")]
    #[non_exhaustive]
    NoSuchGroup { group: usize, groups: usize },

    /// A probe was used with an optimizer that it was not made for.
    #[error("the probe was made for another optimizer, or for this one before its tensors changed: make a new one")]
    OtherOptimizer,

    // --- the caller's tensors ---
    /// A tensor that does not exist was named.
    #[error("tensor `{tensor}` does not exist")]
    #[non_exhaustive]
    NoSuchTensor { tensor: String },
    /// There is nothing to optimize.
    #[error("no tensors were given: at least one group must have at least one tensor")]
    NoTensors,
    /// Two tensors have one name.
    #[error("tensor `{tensor}`: the name is used twice, but names must be unique over all groups")]
    #[non_exhaustive]
    DuplicateName { tensor: String },
    /// A view of no elements.
    #[error("tensor `{tensor}`: its {view} view has length 0, but must have at least one element")]
    #[non_exhaustive]
    EmptyView { tensor: String, view: &'static str },
    /// `param` and `grad` differ in length.
    #[error("tensor `{tensor}`: param has {param} elements and grad has {grad}, but they must have the same number")]
    #[non_exhaustive]
    LengthsDiffer { tensor: String, param: u64, grad: u64 },
    /// A view that does not begin on an element.
    #[error("tensor `{tensor}`: its {view} view begins at byte {offset}, but must begin at a multiple of {need}")]
    #[non_exhaustive]
    Unaligned { tensor: String, view: &'static str, offset: u64, need: u64 },
    /// A view that reaches past the end of its buffer.
    #[error("tensor `{tensor}`: its {view} view needs bytes {offset}..{end}, but its buffer has {size} bytes")]
    #[non_exhaustive]
    OutOfBounds { tensor: String, view: &'static str, offset: u64, end: u64, size: u64 },
    /// [`View::slice`](crate::View::slice) was called with a range that ends before it begins, or past the view's end.
    #[error(
        "tensor `{tensor}`: its {view} view is sliced with {start}..{end}, {}",
        if start > end { "which ends before it begins".into() } else { format!("but the sliced view has only {len} elements") }
    )]
    #[non_exhaustive]
    SliceOutOfBounds { tensor: String, view: &'static str, start: u64, end: u64, len: u64 },
    /// A buffer made without a usage that the kernels need.
    #[error("tensor `{tensor}`: the buffer of its {view} view was made with {given:?}, but needs {missing:?} as well")]
    #[non_exhaustive]
    MissingUsage { tensor: String, view: &'static str, given: BufferUsages, missing: BufferUsages },
    /// Two views that share bytes.
    #[error("tensor `{tensor}`: its {view} view shares bytes with the {other_view} view of tensor `{other}`")]
    #[non_exhaustive]
    Overlap { tensor: String, view: &'static str, other: String, other_view: &'static str },
    /// A param and a grad that one dispatch would have to bind to overlapping windows of one buffer.
    #[error(
        "tensor `{tensor}`: its param and grad are in one buffer and too close: apart from each other by whole blocks \
         of {align} bytes they can be bound together, but param's blocks are bytes {param_begin}..{param_end} and \
         grad's are {grad_begin}..{grad_end}"
    )]
    #[non_exhaustive]
    TooClose { tensor: String, align: u64, param_begin: u64, param_end: u64, grad_begin: u64, grad_end: u64 },

    // --- a saved state ---
    /// The bytes are no state, or a damaged one, or its parts do not fit together.
    #[error("this is no state that can be used: {reason}")]
    #[non_exhaustive]
    InvalidState { reason: String },
    /// The state was written by a later version of this crate.
    #[error("the state's version is {given}, but must be at most {need}")]
    #[non_exhaustive]
    StateVersion { given: u32, need: u32 },
    /// The state is of an optimizer with another number of groups.
    #[error("the state has {given} groups, but the optimizer has {need}")]
    #[non_exhaustive]
    StateGroups { given: usize, need: usize },
    /// The state's group has another rule. Other differences of a configuration do no harm.
    #[error("group {group}: the state is of the rule {given}, but the optimizer has {need}")]
    #[non_exhaustive]
    StateVariant { group: usize, given: String, need: String },
    /// The optimizer has a tensor that the state has not.
    #[error("tensor `{tensor}` is not in the state")]
    #[non_exhaustive]
    NotInState { tensor: String },
    /// The state has a tensor that the optimizer has not.
    #[error("tensor `{tensor}` of the state is not in the optimizer")]
    #[non_exhaustive]
    OnlyInState { tensor: String },
    /// The state has something else of a tensor than the optimizer.
    #[error("tensor `{tensor}`: {what} is {given} in the state, but must be {need}")]
    #[non_exhaustive]
    StateDiffers { tensor: String, what: &'static str, given: String, need: String },
    /// Steps were applied or skipped while the state was being read, so that its parts are of different steps.
    #[error(
        "the state was read in several parts, and meanwhile the optimizer went from {began} to {ended} steps, applied \
         or skipped: submit no step until it is read, or read it at once with a larger staging buffer"
    )]
    #[non_exhaustive]
    StateMoved { began: u64, ended: u64 },
    /// A file could not be written or read.
    #[error("{what} `{path}` failed: {reason}")]
    #[non_exhaustive]
    File { what: &'static str, path: String, reason: String },

    /// A tensor that cannot be stored so.
    #[error("tensor `{tensor}`: {reason}")]
    #[non_exhaustive]
    Storage { tensor: String, reason: &'static str },
    /// A [`Precision`](crate::Precision) that contradicts itself.
    #[error("option precision: {reason}")]
    #[non_exhaustive]
    Precision { reason: &'static str },

    // --- the device ---
    /// The device's limits do not allow this.
    #[error("the device's limit {limit} is {given}, but {need} is needed")]
    #[non_exhaustive]
    Limit { limit: &'static str, given: u64, need: u64 },
    /// The device binds fewer bytes than a block of an 8-bit state needs.
    #[error(
        "tensor `{tensor}`: a block of its 8-bit state needs bindings of {need} bytes, but the device's limit \
         max_storage_buffer_binding_size is {given}"
    )]
    #[non_exhaustive]
    BlockTooLarge { tensor: String, given: u64, need: u64 },
    /// The device's memory is not enough.
    #[error("{what}: the device is out of memory")]
    #[non_exhaustive]
    OutOfMemory { what: &'static str },
    /// The device refused something: it was lost, or a buffer was destroyed, for example.
    #[error("{what}: the device reported an error: {reason}")]
    #[non_exhaustive]
    Device { what: &'static str, reason: String },
    /// A buffer could not be mapped for reading (the device was lost, for example).
    #[error("reading back {what} failed: {reason}")]
    #[non_exhaustive]
    Readback { what: &'static str, reason: String },

    // --- the data, on the CPU ---
    /// The CPU twin was called with another number of slots than it has tensors.
    #[error("{given} slots were given, but there are {need} tensors")]
    #[non_exhaustive]
    TensorCount { given: usize, need: usize },
    /// Values of another format than the tensor's.
    #[error("tensor `{tensor}`: the {view} slice is in the format {given}, but the tensor's is {need}")]
    #[non_exhaustive]
    TensorDtype { tensor: String, view: &'static str, given: String, need: String },
    /// A slice that does not fit its tensor.
    #[error("tensor `{tensor}`: the {view} slice has {given} elements, but the tensor has {need}")]
    #[non_exhaustive]
    TensorLength { tensor: String, view: &'static str, given: usize, need: usize },
}
