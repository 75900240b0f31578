//! The clock's layout in memory.

use crate::num::mirror::mirror;
use crate::tick::powers::Powers;
use crate::tick::settings::Settings;

mirror! {
    /// The first part of `Clock` in `tick.wgsl`; a `Clock` for each group follows.
    pub(crate) struct ClockHead {
        pub applied: u32,
        pub skipped: u32,
        pub last_skipped: u32,
        pub nonfinite_partial: u32,
        pub nonfinite_element: u32,
        pub grad_norm: f32,
        pub clip_coef: f32,
        pub pad: u32,
    }
}

mirror! {
    /// `Clock` in `tick.wgsl`.
    pub(crate) struct Clock {
        pub powers: Powers,
        pub t: u32,
        pub lr: f32,
        /// Steps of the group, which its schedule counts: `t`, but for tensors that came later.
        pub position: u32,
        pub pad: u32,
    }
}

impl Clock {
    /// After `t` steps that were not made here.
    pub fn at(t: u32, settings: &Settings) -> Self {
        Self { powers: Powers::at(t, settings), t, position: t, ..Self::default() }
    }
}

/// Where no element is bad.
pub(crate) const NONE: u32 = u32::MAX;
