//! The options of all groups and steps, as the device has them.

use crate::config::options::{Clip, Options};
use crate::num::mirror::mirror;

mirror! {
    /// `Control` in `tick.wgsl`.
    pub(crate) struct Control {
        pub clocks: u32,
        pub partials: u32,
        pub guard: u32,
        pub clip: u32,
        pub max_norm: f32,
        pub limit: f32,
        pub nan: u32,
        pub growth_factor: f32,
        pub backoff_factor: f32,
        pub growth_interval: u32,
        pub max_skipped_in_a_row: u32,
        pub accumulate: u32,
        /// 1 over `accumulate`.
        pub share: f32,
        pub pad0: u32,
        pub pad1: u32,
        pub pad2: u32,
    }
}

impl Control {
    /// `clocks` and `partials` are the numbers of clocks and of partials of the norm.
    pub fn new(options: &Options, clocks: usize, partials: u64) -> Self {
        let mut control = Self {
            clocks: clocks as u32,
            partials: partials as u32,
            guard: options.guards().into(),
            limit: f32::INFINITY,
            nan: f32::NAN.to_bits(),
            accumulate: options.accumulate.unwrap_or(1),
            share: options.share(),
            max_skipped_in_a_row: options.max_skipped_in_a_row.unwrap_or(u32::MAX),
            ..Self::default()
        };
        match options.clip {
            Clip::None => {}
            Clip::GlobalNorm(max_norm) => (control.clip, control.max_norm) = (1, max_norm as f32),
            Clip::Value(limit) => control.limit = limit as f32,
        }
        if let Some(scale) = &options.loss_scale {
            control.growth_factor = scale.growth_factor as f32;
            control.backoff_factor = scale.backoff_factor as f32;
            control.growth_interval = scale.growth_interval;
        }
        control
    }
}
