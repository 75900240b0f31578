//! The state of an optimizer as plain data, its files, and its transfer between device and host.
//!
//! | to | use |
//! |---|---|
//! | save a run and resume it | [`State::save`] and [`State::load`], or [`State::to_bytes`] and [`State::from_bytes`] |
//! | load a state into an optimizer that differs | [`State::fitted`] |
//! | look at the moments of one tensor | [`Adam::read_tensor_state`](crate::Adam::read_tensor_state) |
//!
//! # The file format
//!
//! A file is a [safetensors](https://huggingface.co/docs/safetensors) file. Its metadata has four strings. A reader
//! ignores others.
//!
//! | key | value |
//! |---|---|
//! | `format` | `wgpu-adam` |
//! | `version` | `1`. A reader refuses a higher version |
//! | `state` | a JSON object: all that is not a tensor |
//! | `crc32` | the checksum, in eight hexadecimal digits |
//!
//! **The checksum** is the CRC-32 of ISO 3309 (zlib's `crc32`) of the bytes of `state`, followed by each tensor of the
//! file in ascending order of the bytes of the names. A tensor contributes a line and then its bytes. The line is the
//! name, the dtype of the file and the shape, `w.exp_avg F32 [5]` or `w.step I64 []` for example; several dimensions are
//! separated by a comma and a space. It ends with a line feed.
//!
//! ## The JSON
//!
//! Fields without a default must be there. A field that is not listed makes the file one of a newer version:
//! [`Error::StateField`](crate::Error::StateField). JSON has no infinity and no NaN, and no field needs one.
//!
//! | object | field | value | default |
//! |---|---|---|---|
//! | root | `t`, `skipped` | the numbers of applied and of skipped steps: 32-bit unsigned integers | |
//! | | `skipped_in_a_row` | the number of steps skipped since the last applied one | 0 |
//! | | `accumulated` | the number of gradients that were accumulated since the last step | 0 |
//! | | `evaluating` | whether the parameters are those for evaluation | false |
//! | | `options` | the [`Options`](crate::Options), for information | |
//! | | `loss_scale` | an object: the state of the loss scale | none |
//! | | `groups`, `clocks`, `tensors` | lists of objects | |
//! | `loss_scale` | `scale`, `growth_tracker` | as in [`LossScaleState`]; `scale` is an f32 | |
//! | group | `config` | the [`Config`](crate::Config) | |
//! | | `precision` | the [`Precision`](crate::Precision) of the group, for information | none: the options' |
//! | | `schedule` | the [`Schedule`](crate::Schedule) | none: the optimizer keeps its own |
//! | clock | `group` | the number of the group, from 0 | |
//! | | `t` | the number of steps applied to the tensors of the clock | |
//! | | `position` | the number of steps of the group, which the schedule counts; the same for all clocks of a group | the largest `t` of the group's clocks |
//! | | `lr` | the learning rate of the last applied step, an f32; for information | |
//! | | `active` | whether the tensors take part in the steps, if that was ever set | none: they do |
//! | | `to_average` | what multiplied `z - y` of Schedule-Free when the parameters became those for evaluation | 0: they are those for training |
//! | | `powers` | four strings: see below | made from `t` and the configuration |
//! | tensor | `name` | the name; unique in the file | |
//! | | `clock` | the number of its clock, from 0; the clock determines the group | |
//! | | `len` | the number of elements | |
//! | | `width` | the number of elements of a row, of a tensor of [rows](crate::rows) | none |
//!
//! A group needs a clock. If it has none in the file, it gets one at step 0.
//!
//! `options`, `config` and `schedule` are written as their Rust types, by the conventions of serde: a struct is an object
//! of its fields, and each missing field of `Options`, `Precision` and `Config` has the default of the Rust type; an
//! `Option` that is `None` is left out or null; a variant without data is the string of its name, and one with data is an
//! object whose only field has the name of the variant and holds the data. Two examples:
//!
//! ```json
//! {"lr": 0.001, "beta1": 0.9, "decay": {"Decoupled": 0.01}, "variant": {"AmsGrad": {"of_corrected": false}}}
//! {"WarmUp": {"steps": 100}}
//! ```
//!
//! `powers` are the running products of `beta1`, of `beta2`, and of NAdam's `gamma` and `mu`, over the applied steps with
//! the betas that were in effect. With `gamma` = 0.96^`momentum_decay`, `mu(t)` is `beta1 * (1 - gamma^t / 2)`. Each is an
//! unsigned 64-bit number in units of 2^-64, in hexadecimal. They have no meaning at `t` = 0, and are 0 there. For
//! Schedule-Free, the third is the sum of its weights over the last one, in units of 2^-32, and the fourth the bits of the
//! largest learning rate so far, as an f32.
//!
//! ## The tensors
//!
//! Each tensor `w` of the optimizer has an entry `w.step`, an I64 without dimensions, which is the `t` of its clock. Each of
//! its state tensors is an entry with one dimension, little-endian. The names are those of PyTorch:
//!
//! | rule | `m` | `v` | `v_max` |
//! |---|---|---|---|
//! | Adam, AdamW, NAdam, RAdam, AdaBelief, LaProp, ADOPT, LAMB, StableAdamW, Cautious AdamW | `w.exp_avg` | `w.exp_avg_sq` | |
//! | Schedule-Free | `w.z_minus_y`, which is `z - y` | `w.exp_avg_sq` | |
//! | AMSGrad | `w.exp_avg` | `w.exp_avg_sq` | `w.max_exp_avg_sq` |
//! | AdEMAMix | `w.exp_avg_fast` | `w.exp_avg_sq` | `w.exp_avg_slow` instead |
//! | AdaMax | `w.exp_avg` | `w.exp_inf` | |
//! | Lion | `w.exp_avg` | | |
//! | RMSProp | `w.momentum_buffer`, with momentum | `w.square_avg` | |
//! | centered RMSProp | `w.momentum_buffer`, with momentum | `w.grad_var`, the variance | `w.grad_avg` instead |
//! | AdaGrad | | `w.sum` | |
//! | SGD | `w.momentum_buffer`, with momentum | | |
//!
//! A moment is F32, BF16 or U8. A U8 moment has codes in blocks of 256 elements, the last of which may be shorter, and an
//! entry more, an F32 with one scale for each block: `w.exp_avg_scale` and so on. The scale is the largest finite
//! magnitude of the block, but at least 2^-104 for `m` and `grad_avg` and 2^-85 for `v` and `v_max`; and it is 0 if no finite
//! element is other than 0. An element is `level(code) * scale`, rounded to f32:
//!
//! | | code 0 | the codes of levels, ascending | the sign | NaN or infinite |
//! |---|---|---|---|---|
//! | `m`, `grad_avg` | 0 | 1 to 127 | upper bit | 0x80 |
//! | `v`, `v_max` | 0 | 1 to 254 | none | 0xff |
//!
//! ```text
//! n        = 127 - code for m and grad_avg (without the sign), 254 - code for v and v_max: the levels above it
//! fine     = 11 for m and grad_avg, 24 for v and v_max: the octaves with eight levels; those below have four
//! f32 bits of level = 0x3f800000 - (n << 20)                                         if n < 8 * fine
//!                   = 0x3f800000 - (fine << 23) - ((n - 8 * fine) << 21)             otherwise
//! ```
//!
//! So the largest code stands for the scale itself, and the levels of an octave are equally far apart. An optimizer on
//! the CPU makes the scale anew from the elements. A writer must therefore give the largest code to the largest element, unless the scale is
//! one of these least ones.
//!
//! In a tensor of rows, each row has blocks of its own, the last of which may be shorter: a row of 300 elements has two
//! scales. If a row has one second moment, `w.exp_avg_sq` is an F32 with one element for each row. If rows count their own
//! steps, `w.row_steps` is a U32 with the count of each row, and `w.step` is that of the tensor.
//!
//! With 16-bit parameters, a tensor may have one entry more: `w.master`, the parameters as F32, or `w.remainder`, the
//! lower 16 bits of the exact bf16 parameters as I16: the bits of the exact parameter, as an f32, are
//! `(param << 16) + remainder`.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod atomic_write;
pub(crate) mod contents;
pub(crate) mod fit;
pub(crate) mod safetensors;
pub(crate) mod transfer;

pub use crate::config::loss_scale::LossScaleState;
pub use crate::config::rule::StateKind;
pub use contents::{ClockState, GroupState, State, StateTensor, TensorState};
pub use fit::{Base, Fitted};
pub use transfer::{Progress, Transfer};
