//! The layout of the clock's buffer.

use crate::num::mirror::mirror;
use crate::tick::powers::Powers;
use crate::tick::settings::Settings;

mirror! {
    /// The head of `Clocks` in `tick.wgsl`. A [`Clock`] for each clock follows it.
    pub(crate) struct ClockHead {
        pub applied: u32,
        pub skipped: u32,
        pub last_skipped: u32,
        pub nonfinite_partial: u32,
        pub nonfinite_element: u32,
        pub grad_norm: f32,
        pub clip_coef: f32,
        /// Steps skipped since the last applied one.
        pub skipped_in_a_row: u32,
        /// 1 if the params are those for evaluation: see [`Variant::ScheduleFree`](crate::Variant::ScheduleFree).
        pub evaluating: u32,
        /// Gradients that were accumulated since the last step.
        pub accumulated: u32,
    }
}

mirror! {
    /// `Clock` in `tick.wgsl`.
    pub(crate) struct Clock {
        pub powers: Powers,
        pub t: u32,
        pub lr: f32,
        /// Steps of the group, which its schedule counts. This is `t`, except for tensors that were added later.
        pub position: u32,
        /// What multiplied `z - y` when the params became those for evaluation. 0 while they are those for training.
        pub to_average: f32,
    }
}

impl ClockHead {
    /// The head after these steps, none of which left a finding.
    pub fn at(applied: u32, skipped: u32, skipped_in_a_row: u32) -> Self {
        Self { applied, skipped, skipped_in_a_row, nonfinite_partial: NONE, clip_coef: 1.0, ..Self::default() }
    }
}

impl Clock {
    /// The clock after `t` steps, without running them.
    pub fn at(t: u32, settings: &Settings) -> Self {
        Self { powers: Powers::at(t, settings), t, position: t, ..Self::default() }
    }
}

/// Stands for no element or no partial.
pub(crate) const NONE: u32 = u32::MAX;
