//! What a step did, as the clock on the device has it.

use crate::tick::clock::{Clock, ClockHead};

/// What the last step did, and the counts since the start; read back only when asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Steps applied, the last one included.
    pub t: u32,
    /// Steps skipped by the finite guard.
    pub skipped: u32,
    /// Whether the last step was skipped.
    pub last_skipped: bool,
    /// In the latest skipped step, the tensor with the first bad element: NaN, infinite, or too large to be squared
    /// (first by where the tensors lie in their buffers; of several buffers, large tensors come before small ones). `None`
    /// where no step was ever skipped, or it was the norm that overflowed.
    pub nonfinite_tensor: Option<String>,
    /// The 2-norm of all gradients of the last step together, before clipping and without the loss scale. `None` where the step does not need it:
    /// without clipping by global norm and without the guard.
    pub grad_norm: Option<f32>,
    /// What the gradients of the last step were scaled by: 1 where nothing was clipped by norm.
    pub clip_coef: f32,
    /// What the loss of the next step is to be multiplied by. `None` without a [`LossScale`](crate::LossScale).
    pub loss_scale: Option<f32>,
    /// For each group, the learning rate of the last step that was applied (0 before the first) and its own count.
    pub groups: Vec<GroupReport>,
}

/// A group's part of a [`Report`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupReport {
    /// Steps applied to this group: to those of its tensors that were there first.
    pub t: u32,
    /// Learning rate of the last of them.
    pub lr: f32,
}

impl Report {
    /// `nonfinite_tensor` says which tensor has an element of the region that wrote a partial; `of` the group of each clock.
    pub(crate) fn new(
        head: &ClockHead,
        of: &[usize],
        clocks: &[Clock],
        norm: bool,
        nonfinite_tensor: Option<String>,
        loss_scale: Option<f32>,
    ) -> Self {
        let mut groups: Vec<GroupReport> = Vec::new();
        for (&group, clock) in of.iter().zip(clocks) {
            let known = groups.len();
            groups.resize(known.max(group + 1), GroupReport { t: 0, lr: 0.0 });
            if group >= known || groups[group].t < clock.t {
                groups[group] = GroupReport { t: clock.t, lr: clock.lr };
            }
        }
        Self {
            t: head.applied,
            skipped: head.skipped,
            last_skipped: head.last_skipped != 0,
            nonfinite_tensor,
            grad_norm: norm.then_some(head.grad_norm),
            clip_coef: head.clip_coef,
            loss_scale,
            groups,
        }
    }
}
