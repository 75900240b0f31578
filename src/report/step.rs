//! The report of a step, made from the clock on the device.

use crate::tick::clock::{Clock, ClockHead};

/// The outcome of the last step, and the counts since the start.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The number of applied steps, the last one included. It stops at `u32::MAX`.
    pub t: u32,
    /// The number of skipped steps.
    pub skipped: u32,
    /// The number of steps skipped since the last applied one. See
    /// [`Options::max_skipped_in_a_row`](crate::Options::max_skipped_in_a_row).
    pub skipped_in_a_row: u32,
    /// The number of gradients that were accumulated since the last step: see
    /// [`Options::accumulate`](crate::Options::accumulate).
    pub accumulated: u32,
    /// Whether the last step was skipped.
    pub last_skipped: bool,
    /// Whether the parameters are those for evaluation, so that steps are skipped: see
    /// [`Adam::eval_mode`](crate::Adam::eval_mode).
    pub evaluating: bool,
    /// The name of a tensor with a non-finite gradient in the last skipped step. A gradient that overflows when squared
    /// counts as non-finite.
    ///
    /// If several tensors have one, the first is named. `None` if no step was skipped, or if the norm
    /// overflowed and no single gradient did, or the gradient is one of another optimizer that
    /// [shares the norm](crate::Options::share_norm).
    pub nonfinite_tensor: Option<String>,
    /// The 2-norm of all gradients of the last step, before clipping and without the loss scale. `None` unless the
    /// options clip by global norm or skip non-finite gradients, or a group is clipped by a norm of its own.
    pub grad_norm: Option<f32>,
    /// The factor of clipping by global norm in the last step. 1 if it was not clipped.
    pub clip_coef: f32,
    /// The loss scale of the next step. `None` without a [`LossScale`](crate::LossScale).
    pub loss_scale: Option<f32>,
    /// The groups, in order.
    pub groups: Vec<GroupReport>,
}

/// A group in a [`Report`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupReport {
    /// The number of steps applied to the oldest tensors of the group. Tensors that were added or reset count their
    /// own.
    pub t: u32,
    /// The learning rate of the last applied step. 0 before the first.
    pub lr: f32,
}

impl Report {
    /// `nonfinite_tensor` says which tensor has an element of the region that wrote a partial; `of` the group of each
    /// clock.
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
            skipped_in_a_row: head.skipped_in_a_row,
            accumulated: head.accumulated,
            last_skipped: head.last_skipped != 0,
            evaluating: head.evaluating != 0,
            nonfinite_tensor,
            grad_norm: norm.then_some(head.grad_norm),
            clip_coef: head.clip_coef,
            loss_scale,
            groups,
        }
    }
}
