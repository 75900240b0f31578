//! From a configuration to the scalars of step t: settings, clocks and schedules.

pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod curves;
pub(crate) mod partial;

pub(crate) mod powers;
pub(crate) mod scalars;
pub(crate) mod settings;

#[cfg(test)]
pub(crate) mod tests;
