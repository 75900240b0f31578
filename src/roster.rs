//! The groups and their tensors as they are now, and which of the tensors share a clock.

use crate::clock::Settings;
use crate::{Config, Group};

/// A clock counts the steps of tensors that began together. A group begins with one; tensors that are added to it or reset
/// later have another, so that their bias corrections are those of their own steps.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    /// With the learning rates that were set last.
    pub groups: Vec<Group>,
    /// The group of each clock.
    pub clocks: Vec<usize>,
    /// The clock of each tensor, in the order of the groups and their tensors.
    pub of_tensor: Vec<usize>,
}

impl Roster {
    /// One clock a group.
    pub fn new(groups: &[Group]) -> Self {
        let of_tensor = groups.iter().enumerate().flat_map(|(i, group)| std::iter::repeat_n(i, group.tensors.len()));
        Self { groups: groups.to_vec(), clocks: (0..groups.len()).collect(), of_tensor: of_tensor.collect() }
    }

    /// The configuration of a clock's group.
    pub fn config(&self, clock: usize) -> &Config {
        &self.groups[self.clocks[clock]].config
    }

    /// What the device has of the configurations, clock by clock.
    pub fn settings(&self) -> Vec<Settings> {
        (0..self.clocks.len()).map(|clock| Settings::new(self.config(clock))).collect()
    }
}
