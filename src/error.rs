//! Everything that can go wrong, in one enum, sorted by who can act on it: the caller, the device, the data.

use wgpu::BufferUsages;

/// An error of this crate. The message names the tensor or the field, the given value and the needed one.
///
/// A constructor or a setter that returns an error has changed nothing, unless its documentation says otherwise.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- the caller's configuration ---
    /// A value of a [`Config`](crate::Config) is out of range.
    #[error("group {group}: {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Config {
        /// The group, counted from 0.
        group: usize,
        /// The field.
        field: &'static str,
        /// The value that was given.
        given: f64,
        /// The range that the value must be in.
        need: &'static str,
    },
    /// A field of a [`Config`](crate::Config) is not at its default, but the [`Variant`](crate::Variant) does not use
    /// it.
    #[error("group {group}: {field} is {given}, but {variant} does not use it: it must be {need}, the default")]
    #[non_exhaustive]
    UnusedField {
        /// The group, counted from 0.
        group: usize,
        /// The field.
        field: &'static str,
        /// The value that was given.
        given: String,
        /// The name of the variant.
        variant: &'static str,
        /// The default of the field.
        need: String,
    },
    /// A value of a [`Schedule`](crate::Schedule) is out of range.
    #[error("group {group}: {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Schedule {
        /// The group, counted from 0.
        group: usize,
        /// The path to the field, `schedule[1].steps` for example.
        field: String,
        /// The value that was given.
        given: f64,
        /// The range that the value must be in.
        need: &'static str,
    },
    /// A value of [`Options`](crate::Options) is out of range.
    #[error("option {field} is {given}, but must be {need}")]
    #[non_exhaustive]
    Option {
        /// The field.
        field: &'static str,
        /// The value that was given.
        given: f64,
        /// The range that the value must be in.
        need: &'static str,
    },
    /// The fields of a [`Precision`](crate::Precision) contradict each other.
    #[error("{}precision: {reason}", group.map_or("option ".to_owned(), |group| format!("group {group}: ")))]
    #[non_exhaustive]
    Precision {
        /// The group, counted from 0, or `None` for [`Options::precision`](crate::Options::precision).
        group: Option<usize>,
        /// The contradiction, and the need.
        reason: &'static str,
    },
    /// `set_config` was called with a variant that needs another compiled rule. The rule determines the state of the
    /// tensors.
    #[error("group {group}: the new configuration has the rule {given}, but the optimizer was made for {need}")]
    #[non_exhaustive]
    OtherRule {
        /// The group, counted from 0.
        group: usize,
        /// The rule of the new configuration.
        given: String,
        /// The rule of the group.
        need: String,
    },
    /// The optimizer does not have a group of this number.
    #[error("group {group} does not exist: the optimizer has {groups}, counted from 0")]
    #[non_exhaustive]
    NoSuchGroup {
        /// The number that was given.
        group: usize,
        /// The number of groups.
        groups: usize,
    },
    /// A [`Probe`](crate::Probe) was used with an optimizer that it was not made for.
    #[error("the probe was made for another optimizer, or for this one before its tensors changed: make a new one")]
    OtherOptimizer,

    /// Two optimizers cannot share a loss scale.
    #[error("the loss scale cannot be shared: {reason}")]
    #[non_exhaustive]
    NotShareable {
        /// The need.
        reason: &'static str,
    },

    // --- the caller's tensors ---
    /// The optimizer does not have a tensor of this name.
    #[error("tensor `{tensor}` does not exist")]
    #[non_exhaustive]
    NoSuchTensor {
        /// The name that was given.
        tensor: String,
    },
    /// There is no tensor to optimize.
    #[error("no tensors were given: at least one group must have at least one tensor")]
    NoTensors,
    /// Two tensors have the same name.
    #[error("tensor `{tensor}`: the name is used twice, but names must be unique over all groups")]
    #[non_exhaustive]
    DuplicateName {
        /// The name.
        tensor: String,
    },
    /// A view has no elements.
    #[error("tensor `{tensor}`: its {view} view has length 0, but must have at least one element")]
    #[non_exhaustive]
    EmptyView {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
    },
    /// The views of a tensor differ in length.
    #[error("tensor `{tensor}`: param has {param} elements and grad has {grad}, but they must have the same number")]
    #[non_exhaustive]
    LengthsDiffer {
        /// The name of the tensor.
        tensor: String,
        /// The length of the param view in elements.
        param: u64,
        /// The length of the grad view in elements.
        grad: u64,
    },
    /// A view does not begin at a multiple of its element size.
    #[error("tensor `{tensor}`: its {view} view begins at byte {offset}, but must begin at a multiple of {need}")]
    #[non_exhaustive]
    Unaligned {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The offset of the view in bytes.
        offset: u64,
        /// The size of an element in bytes.
        need: u64,
    },
    /// A view reaches past the end of its buffer.
    #[error("tensor `{tensor}`: its {view} view needs bytes {offset}..{end}, but its buffer has {size} bytes")]
    #[non_exhaustive]
    OutOfBounds {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The begin of the view in bytes.
        offset: u64,
        /// The end of the view in bytes.
        end: u64,
        /// The size of the buffer in bytes.
        size: u64,
    },
    /// [`View::slice`](crate::View::slice) was called with a range that is not within the view.
    #[error(
        "tensor `{tensor}`: its {view} view is sliced with {start}..{end}, {}",
        if start > end { "which ends before it begins".into() } else { format!("but the sliced view has only {len} elements") }
    )]
    #[non_exhaustive]
    SliceOutOfBounds {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The begin of the range in elements.
        start: u64,
        /// The end of the range in elements.
        end: u64,
        /// The length of the sliced view in elements.
        len: u64,
    },
    /// A buffer was created without a usage that the kernels need.
    #[error("tensor `{tensor}`: the buffer of its {view} view was made with {given:?}, but needs {missing:?} as well")]
    #[non_exhaustive]
    MissingUsage {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The usages of the buffer.
        given: BufferUsages,
        /// The missing usages.
        missing: BufferUsages,
    },
    /// A view ends in the last 1 to 3 bytes of a buffer whose size is not a multiple of 4. A dispatch cannot bind them.
    #[error(
        "tensor `{tensor}`: the buffer of its {view} view has {given} bytes, but must have {need}, a multiple of 4"
    )]
    #[non_exhaustive]
    BufferSize {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The size of the buffer in bytes.
        given: u64,
        /// The needed size in bytes.
        need: u64,
    },
    /// A tensor has no gradients, neither fixed ones nor given ones.
    #[error("tensor `{tensor}`: no gradients were given: Adam::set_grads needs a view for each active tensor")]
    #[non_exhaustive]
    NoGrads {
        /// The name of the tensor.
        tensor: String,
    },
    /// Gradients were given for a tensor that has fixed ones.
    #[error("tensor `{tensor}`: gradients were given, but it was made with fixed ones, not with Grads::EachStep")]
    #[non_exhaustive]
    FixedGrads {
        /// The name of the tensor.
        tensor: String,
    },
    /// Two views share bytes of a buffer.
    #[error("tensor `{tensor}`: its {view} view shares bytes with the {other_view} view of tensor `{other}`")]
    #[non_exhaustive]
    Overlap {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The name of the other tensor.
        other: String,
        /// The view of the other tensor.
        other_view: &'static str,
    },
    /// The param and the grad of a tensor are in one buffer and share an alignment block, so that a dispatch cannot
    /// bind both.
    #[error(
        "tensor `{tensor}`: its param and grad are in one buffer and must not share a block of {align} bytes, but param needs \
         the blocks at bytes {param_begin}..{param_end} and grad those at {grad_begin}..{grad_end}"
    )]
    #[non_exhaustive]
    TooClose {
        /// The name of the tensor.
        tensor: String,
        /// The size of an alignment block in bytes.
        align: u64,
        /// The begin of the blocks of param in bytes.
        param_begin: u64,
        /// The end of the blocks of param in bytes.
        param_end: u64,
        /// The begin of the blocks of grad in bytes.
        grad_begin: u64,
        /// The end of the blocks of grad in bytes.
        grad_end: u64,
    },
    /// A tensor cannot be stored in the requested formats.
    #[error("tensor `{tensor}`: {reason}")]
    #[non_exhaustive]
    Storage {
        /// The name of the tensor.
        tensor: String,
        /// The reason, and the need.
        reason: &'static str,
    },

    /// The rows of a tensor cannot be stepped as asked.
    #[error("tensor `{tensor}`: {reason}")]
    #[non_exhaustive]
    Rows {
        /// The name of the tensor.
        tensor: String,
        /// What was given, and what is needed.
        reason: String,
    },

    /// A tensor cannot be rebound to other views.
    #[error("tensor `{tensor}`: {what} is {given}, but must stay {need}")]
    #[non_exhaustive]
    Rebind {
        /// The name of the tensor.
        tensor: String,
        /// What differs.
        what: &'static str,
        /// The new value.
        given: String,
        /// The old value.
        need: String,
    },

    // --- a saved state ---
    /// The bytes are not a state, the file is damaged, or the parts of the state do not fit together.
    #[error("invalid optimizer state: {reason}")]
    #[non_exhaustive]
    InvalidState {
        /// The first thing that is wrong.
        reason: String,
    },
    /// A later version of this crate wrote the state.
    #[error("the state has version {given}, but this crate reads versions up to {need}")]
    #[non_exhaustive]
    StateVersion {
        /// The version of the state.
        given: u32,
        /// The latest version that this crate reads.
        need: u32,
    },
    /// The state has a field, or a name of a variant, that this crate does not know.
    #[error("`{field}` of the state: {unknown}: a newer version of this crate wrote the state")]
    #[non_exhaustive]
    StateField {
        /// The path to the field, `groups[1].config.name` for example.
        field: String,
        /// The unknown name, with its sort: "unknown variant `Name`" for example.
        unknown: String,
    },
    /// The state has a different number of groups.
    #[error("the state has {given} groups, but the optimizer has {need}")]
    #[non_exhaustive]
    StateGroups {
        /// The number of groups in the state.
        given: usize,
        /// The number of groups in the optimizer.
        need: usize,
    },
    /// A group of the state has another rule. Other differences of the configuration are accepted.
    #[error("group {group}: the state has the rule {given}, but the optimizer has {need}")]
    #[non_exhaustive]
    StateVariant {
        /// The group, counted from 0.
        group: usize,
        /// The rule in the state.
        given: String,
        /// The rule of the optimizer.
        need: String,
    },
    /// A group of the optimizer has tensors of several groups of the state, and these differ: see
    /// [`State::fitted`](crate::State::fitted).
    #[error(
        "group {group}: its tensors come from groups {first} and {second} of the state, which must have the same configuration, \
         schedule and position: make them equal, or fit with Base::Optimizer"
    )]
    #[non_exhaustive]
    StateGroupsDiffer {
        /// The group of the optimizer, counted from 0.
        group: usize,
        /// A group of the state.
        first: usize,
        /// Another group of the state.
        second: usize,
    },
    /// A tensor of the optimizer is missing in the state.
    #[error("tensor `{tensor}` is not in the state")]
    #[non_exhaustive]
    NotInState {
        /// The name of the tensor.
        tensor: String,
    },
    /// A tensor of the state is missing in the optimizer.
    #[error("tensor `{tensor}` of the state is not in the optimizer")]
    #[non_exhaustive]
    OnlyInState {
        /// The name of the tensor.
        tensor: String,
    },
    /// A tensor of the state differs from the tensor of the optimizer.
    #[error("tensor `{tensor}`: {what} is {given} in the state, but must be {need}")]
    #[non_exhaustive]
    StateDiffers {
        /// The name of the tensor.
        tensor: String,
        /// The property that differs.
        what: &'static str,
        /// Its value in the state.
        given: String,
        /// Its value in the optimizer.
        need: String,
    },
    /// Steps ran while the state was being read in several pieces.
    #[error(
        "the optimizer had run {began} steps when the read of its state began and {ended} when it ended, but must not step in \
         between: wait for the read, or use a staging buffer that holds the whole state"
    )]
    #[non_exhaustive]
    StateMoved {
        /// The number of steps, applied or skipped, at the beginning.
        began: u64,
        /// The number of steps, applied or skipped, at the end.
        ended: u64,
    },
    /// A file could not be written or read.
    #[error("{what} `{path}` failed: {reason}")]
    #[non_exhaustive]
    File {
        /// The operation: `writing` or `reading`.
        what: &'static str,
        /// The path of the file.
        path: String,
        /// The error of the operating system, or what the path leads to instead of a file.
        reason: String,
    },

    // --- the device ---
    /// A limit of the device is too low, or an alignment too high.
    #[error("the device's limit {limit} is {given}, but {need} is needed")]
    #[non_exhaustive]
    Limit {
        /// The field of [`wgpu::Limits`].
        limit: &'static str,
        /// The limit of the device.
        given: u64,
        /// The value that the optimizer needs.
        need: u64,
    },
    /// A block of an 8-bit state does not fit into a binding.
    #[error(
        "tensor `{tensor}`: a block of its 8-bit state needs bindings of {need} bytes, but the device's limit {limit} is \
         {given}"
    )]
    #[non_exhaustive]
    BlockTooLarge {
        /// The name of the tensor.
        tensor: String,
        /// The field of [`wgpu::Limits`].
        limit: &'static str,
        /// The limit of the device in bytes.
        given: u64,
        /// The size of a binding with one block in bytes.
        need: u64,
    },
    /// The device is out of memory.
    #[error("{what}: the device is out of memory")]
    #[non_exhaustive]
    OutOfMemory {
        /// The operation.
        what: &'static str,
    },
    /// The device does not bind the buffer of a tensor: the buffer was destroyed, or belongs to another device.
    #[error("tensor `{tensor}`: the device cannot bind the buffer of its {view} view: {reason}")]
    #[non_exhaustive]
    Buffer {
        /// The name of the tensor.
        tensor: String,
        /// The view: `param` or `grad`.
        view: &'static str,
        /// The error of the device.
        reason: String,
    },
    /// The device refused an operation. The reason may be a lost device.
    #[error("{what}: the device reported an error: {reason}")]
    #[non_exhaustive]
    Device {
        /// The operation.
        what: &'static str,
        /// The error of the device.
        reason: String,
    },
    /// A buffer could not be mapped for reading, because the device was lost for example.
    #[error("reading back {what} failed: {reason}")]
    #[non_exhaustive]
    Readback {
        /// The data that were to be read.
        what: &'static str,
        /// The error of the device.
        reason: String,
    },

    // --- the data of a step ---
    /// A step was given a wrong number of tensors.
    #[error("the step was given {given} tensors, but the optimizer has {need}")]
    #[non_exhaustive]
    TensorCount {
        /// The number of tensors that were given.
        given: usize,
        /// The number of tensors of the optimizer.
        need: usize,
    },
    /// A step on the CPU was given a tensor in the place of another. The places are those of
    /// [`tensor_names`](crate::cpu::Adam::tensor_names).
    #[error(
        "the step was given tensor `{given}` in place {place}, counted from 0, but the optimizer has `{need}` there"
    )]
    #[non_exhaustive]
    TensorName {
        /// The place in the step's list of tensors, counted from 0.
        place: usize,
        /// The name that was given.
        given: String,
        /// The name of the optimizer's tensor.
        need: String,
    },
    /// The parameters or gradients of a step have another dtype than their tensor.
    #[error("tensor `{tensor}`: {view} has dtype {given}, but the tensor has {need}")]
    #[non_exhaustive]
    TensorDtype {
        /// The name of the tensor.
        tensor: String,
        /// `param` or `grad`.
        view: &'static str,
        /// The dtype that was given.
        given: String,
        /// The dtype of the tensor.
        need: String,
    },
    /// The parameters or gradients of a step have another length than their tensor.
    #[error("tensor `{tensor}`: {view} has {given} elements, but the tensor has {need}")]
    #[non_exhaustive]
    TensorLength {
        /// The name of the tensor.
        tensor: String,
        /// `param` or `grad`.
        view: &'static str,
        /// The length that was given, in elements.
        given: usize,
        /// The length of the tensor in elements.
        need: usize,
    },
}
