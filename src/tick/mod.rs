//! The scalars of a step: what a configuration becomes at step t.

pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod curves;
pub(crate) mod partial;

pub(crate) mod powers;
pub(crate) mod scalars;
pub(crate) mod settings;

#[cfg(test)]
mod tests;
