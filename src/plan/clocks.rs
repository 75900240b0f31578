//! The groups and their tensors, and which tensors share a clock.

use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::error::Error;
use crate::tick::curves::{Curve, compile};
use crate::tick::settings::Settings;

/// A tensor in a change of the groups: its group, and its number before the change. A tensor that is new or reset has
/// no earlier number.
pub(crate) type Member = (usize, Option<usize>);

/// The tensors of each group during a change, each with its number before the change.
pub(crate) type Lists<T> = Vec<Vec<(T, Option<usize>)>>;

/// The tensors of each group with their numbers.
pub(crate) fn lists<T: Clone>(groups: &[Group<T>]) -> Lists<T> {
    let mut numbers = 0..;
    groups.iter().map(|group| group.tensors.iter().cloned().zip(numbers.by_ref().map(Some)).collect()).collect()
}

/// Puts the lists into the groups, and returns the members in the new order.
pub(crate) fn regroup<T>(groups: &mut [Group<T>], lists: Lists<T>) -> Vec<Member> {
    let mut members = Vec::new();
    for (number, (group, list)) in groups.iter_mut().zip(lists).enumerate() {
        members.extend(list.iter().map(|(_, before)| (number, *before)));
        group.tensors = list.into_iter().map(|(tensor, _)| tensor).collect();
    }
    members
}

/// Checks that tensors of these names exist.
pub(crate) fn check_names(known: &[String], names: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !known.iter().any(|known| known == *name)) {
        Some(name) => Err(Error::NoSuchTensor { tensor: (*name).to_owned() }),
        None => Ok(()),
    }
}

/// The clocks. A clock counts the steps of tensors that began together. A group begins with one clock. Tensors that are
/// added to it or reset later get another, so that their bias corrections follow their own steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClockMap {
    /// The group of each clock.
    pub groups: Vec<usize>,
    /// The clock of each tensor, in the order of the groups and their tensors.
    pub of_tensor: Vec<usize>,
}

impl ClockMap {
    /// One clock for each group. `counts` gives the number of tensors of each group.
    pub fn new(counts: impl Iterator<Item = usize>) -> Self {
        let mut groups = Vec::new();
        let mut of_tensor = Vec::new();
        for (group, count) in counts.enumerate() {
            groups.push(group);
            of_tensor.extend(std::iter::repeat_n(group, count));
        }
        Self { groups, of_tensor }
    }

    /// Any clock of a group, or `None` if the group does not exist. All clocks of a group agree about the schedule.
    pub fn any(&self, group: usize) -> Option<usize> {
        self.groups.iter().position(|clock_group| *clock_group == group)
    }

    /// The clocks after a change of the groups and tensors, and the number that each clock had before. The new tensors
    /// of a group share a new clock. A clock without a tensor is dropped, unless it is the only one of its group.
    pub fn changed(&self, groups: usize, members: &[Member]) -> (Self, Vec<Option<usize>>) {
        let mut now = Self { groups: Vec::new(), of_tensor: vec![0; members.len()] };
        let mut before = Vec::new();
        for group in 0..groups {
            let group_members = || members.iter().enumerate().filter(move |(_, member)| member.0 == group);
            let mut kept: Vec<Option<usize>> =
                group_members().filter_map(|(_, member)| member.1).map(|old| Some(self.of_tensor[old])).collect();
            kept.sort_unstable();
            kept.dedup();
            if group_members().any(|(_, member)| member.1.is_none()) {
                kept.push(None);
            }
            if kept.is_empty() {
                // The group has lost its tensors, or never had any.
                kept.push(self.any(group));
            }
            for (tensor, member) in group_members() {
                let clock = member.1.map(|old| self.of_tensor[old]);
                now.of_tensor[tensor] = before.len() + kept.iter().position(|old| *old == clock).unwrap_or(0);
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
    /// With the latest learning rates.
    pub groups: Vec<Group>,
    pub clocks: ClockMap,
}

impl Registry {
    /// One clock for each group.
    pub fn new(groups: &[Group]) -> Self {
        Self { groups: groups.to_vec(), clocks: ClockMap::new(groups.iter().map(|group| group.tensors.len())) }
    }

    /// A group, or an error if it does not exist.
    pub fn group(&self, group: usize) -> Result<&Group, Error> {
        let groups = self.groups.len();
        self.groups.get(group).ok_or(Error::NoSuchGroup { group, groups })
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
    fn tensors_that_begin_later_have_their_own_clock() {
        let begun = ClockMap::new([2, 1].into_iter());
        assert_eq!(begun, ClockMap { groups: vec![0, 1], of_tensor: vec![0, 0, 1] });
        // Group 0 gets another tensor, and there is a new group of two.
        let members = [(0, Some(0)), (0, Some(1)), (0, None), (1, Some(2)), (2, None), (2, None)];
        let (later, before) = begun.changed(3, &members);
        assert_eq!(later, ClockMap { groups: vec![0, 0, 1, 2], of_tensor: vec![0, 0, 1, 2, 3, 3] });
        assert_eq!(before, [Some(0), None, Some(1), None]);
        // The first two tensors are removed and the third is reset: group 0 then has only one clock, a new one.
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
