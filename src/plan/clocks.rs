//! The groups and their tensors as they are now, and which of the tensors share a clock.

use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::error::Error;
use crate::tick::curves::{Curve, compile};
use crate::tick::settings::Settings;

/// What a change of the groups needs to know of a tensor: its group, and which tensor of before it is. A tensor that is new,
/// or reset, is none.
pub(crate) type Member = (usize, Option<usize>);

/// The clocks. Each counts the steps of tensors that began together: a group begins with one; tensors that are added to it
/// or reset later have another, so that their bias corrections are those of their own steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClockMap {
    /// The group of each.
    pub groups: Vec<usize>,
    /// That of each tensor, in the order of the groups and their tensors.
    pub of_tensor: Vec<usize>,
}

impl ClockMap {
    /// One a group, for groups of so many tensors.
    pub fn new(tensors: impl Iterator<Item = usize>) -> Self {
        let (mut groups, mut of_tensor) = (Vec::new(), Vec::new());
        for (group, count) in tensors.enumerate() {
            groups.push(group);
            of_tensor.extend(std::iter::repeat_n(group, count));
        }
        Self { groups, of_tensor }
    }

    /// Any clock of a group, to which all of them agree about the schedule; none of a group that there is not.
    pub fn any(&self, group: usize) -> Option<usize> {
        self.groups.iter().position(|of| *of == group)
    }

    /// The clocks after a change to those groups and tensors, and which clock of before each of them is. Tensors that are
    /// new have a new one, and a clock without a tensor is dropped, unless it is the only one of its group.
    pub fn changed(&self, groups: usize, members: &[Member]) -> (Self, Vec<Option<usize>>) {
        let (mut now, mut before) = (Self { groups: Vec::new(), of_tensor: vec![0; members.len()] }, Vec::new());
        for group in 0..groups {
            let own = || members.iter().enumerate().filter(move |(_, member)| member.0 == group);
            let mut kept: Vec<Option<usize>> =
                own().filter_map(|(_, member)| member.1).map(|old| Some(self.of_tensor[old])).collect();
            kept.sort_unstable();
            kept.dedup();
            if own().any(|(_, member)| member.1.is_none()) {
                kept.push(None);
            }
            if kept.is_empty() {
                // A group that has lost its tensors, or never had one.
                kept.push(self.any(group));
            }
            for (tensor, member) in own() {
                let clock = member.1.map(|old| self.of_tensor[old]);
                now.of_tensor[tensor] = before.len() + kept.iter().position(|of| *of == clock).unwrap_or(0);
            }
            now.groups.extend(std::iter::repeat_n(group, kept.len()));
            before.extend(kept);
        }
        (now, before)
    }
}

/// The groups, and the clocks of their tensors.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    /// With the learning rates that were set last.
    pub groups: Vec<Group>,
    pub clocks: ClockMap,
}

impl Registry {
    /// One clock a group.
    pub fn new(groups: &[Group]) -> Self {
        Self { groups: groups.to_vec(), clocks: ClockMap::new(groups.iter().map(|group| group.tensors.len())) }
    }

    /// The configuration of a group, if there is such a group.
    pub fn config_of(&self, group: usize) -> Result<&Config, Error> {
        let groups = self.groups.len();
        self.groups.get(group).map(|group| &group.config).ok_or(Error::NoSuchGroup { group, groups })
    }

    /// The configuration of a clock's group.
    pub fn config(&self, clock: usize) -> &Config {
        &self.groups[self.clocks.groups[clock]].config
    }

    /// The settings of each clock without its schedule, for callers that need no schedule: compiling it takes longer.
    pub fn unscheduled(&self) -> Vec<Settings> {
        self.clocks.groups.iter().map(|&group| Settings::new(&self.groups[group].config)).collect()
    }

    /// The settings of each clock, and the curves of the schedules.
    pub fn scheduled(&self) -> (Vec<Settings>, Vec<Curve>) {
        compile(self.groups.iter().map(|group| (&group.config, &group.schedule)), &self.clocks.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_begin_later_have_a_clock_of_their_own() {
        let begun = ClockMap::new([2, 1].into_iter());
        assert_eq!(begun, ClockMap { groups: vec![0, 1], of_tensor: vec![0, 0, 1] });
        // One tensor more in group 0, and a new group of two.
        let members = [(0, Some(0)), (0, Some(1)), (0, None), (1, Some(2)), (2, None), (2, None)];
        let (later, before) = begun.changed(3, &members);
        assert_eq!(later, ClockMap { groups: vec![0, 0, 1, 2], of_tensor: vec![0, 0, 1, 2, 3, 3] });
        assert_eq!(before, [Some(0), None, Some(1), None]);
        // The first two tensors go, the third is reset: there is only one clock then, and it is new.
        let members = [(0, None), (1, Some(3)), (2, Some(4)), (2, Some(5))];
        let (reset, before) = later.changed(3, &members);
        assert_eq!(reset, ClockMap { groups: vec![0, 1, 2], of_tensor: vec![0, 1, 2, 2] });
        assert_eq!(before, [None, Some(2), Some(3)]);
        // A group that loses its tensors keeps a clock.
        let (empty, before) = later.changed(3, &[(0, Some(2)), (2, Some(4))]);
        assert_eq!(empty, ClockMap { groups: vec![0, 1, 2], of_tensor: vec![0, 2] });
        assert_eq!(before, [Some(1), Some(2), Some(3)]);
    }
}
