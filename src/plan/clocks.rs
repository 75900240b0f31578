//! The groups and their tensors, and which tensors share a clock.

use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::config::options::{Clip, GroupClip, Options};
use crate::error::Error;
use crate::state::contents::State;
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

/// Which groups give each tensor a clock of its own: tensors that are clipped by norms of their own, or rescaled by factors of
/// their own, differ in scalars.
pub(crate) fn separate<T>(groups: &[Group<T>]) -> Vec<bool> {
    let rescaled = |group: &Group<T>| group.config.variant.rule().rescale().is_some();
    groups.iter().map(|group| matches!(group.clip, Some(GroupClip::Tensor(_))) || rescaled(group)).collect()
}

/// Checks that tensors of these names exist.
pub(crate) fn check_names(known: &[String], names: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !known.iter().any(|known| known == *name)) {
        Some(name) => Err(Error::NoSuchTensor { tensor: (*name).to_owned() }),
        None => Ok(()),
    }
}

/// The numbers of the tensors of these names, each once, in ascending order.
pub(crate) fn numbers_of(known: &[String], names: &[&str]) -> Result<Vec<usize>, Error> {
    check_names(known, names)?;
    Ok((0..known.len()).filter(|&i| names.contains(&known[i].as_str())).collect())
}

/// The clocks. A clock counts the steps of tensors that began together. A group begins with one clock. Tensors that are
/// added to it or reset later get another, so that their bias corrections follow their own steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClockMap {
    /// The group of each clock.
    pub groups: Vec<usize>,
    /// The clock of each tensor, in the order of the groups and their tensors.
    pub of_tensor: Vec<usize>,
    /// Whether the tensors of each clock take part in the steps, if they have ever been switched on or off.
    pub switches: Vec<Option<bool>>,
}

impl ClockMap {
    /// One clock for each group, or for each tensor of a group that keeps them separate.
    pub fn new<T>(groups: &[Group<T>]) -> Self {
        let numbers: Vec<usize> = (0..groups.len()).collect();
        let of_tensor = numbers.iter().flat_map(|&i| std::iter::repeat_n(i, groups[i].tensors.len())).collect();
        let switches = vec![None; groups.len()];
        Self { groups: numbers, of_tensor, switches }.separated(&separate(groups)).0
    }

    /// The clocks of a state, and where each of them is in it. `order` gives the place of each tensor.
    pub fn of_state(state: &State, order: &[usize], separate: &[bool]) -> (Self, Vec<usize>) {
        let clocks = Self {
            groups: state.clocks.iter().map(|clock| clock.group).collect(),
            of_tensor: order.iter().map(|&place| state.tensors[place].clock).collect(),
            switches: state.clocks.iter().map(|clock| clock.active).collect(),
        };
        clocks.separated(separate)
    }

    /// Gives each tensor of some groups a clock of its own. Returns the clock that each clock is a copy of.
    fn separated(mut self, separate: &[bool]) -> (Self, Vec<usize>) {
        let mut copies: Vec<usize> = (0..self.groups.len()).collect();
        let mut used = vec![false; self.groups.len()];
        for clock in &mut self.of_tensor {
            let original = *clock;
            if separate[self.groups[original]] && std::mem::replace(&mut used[original], true) {
                *clock = self.groups.len();
                self.groups.push(self.groups[original]);
                self.switches.push(self.switches[original]);
                copies.push(original);
            }
        }
        (self, copies)
    }

    /// Whether the tensors of a clock take part in the steps.
    pub fn is_active(&self, clock: usize) -> bool {
        self.switches[clock] != Some(false)
    }

    /// Tensors with the same number may share a partial of the norm. The norm leaves out tensors that are inactive, and
    /// units have norms of their own, so clocks with a switch and clocks of `clipped` groups share no partial with
    /// others.
    pub fn share(&self, clock: usize, clipped: bool) -> u32 {
        if clipped || self.switches[clock].is_some() { 1 + clock as u32 } else { 0 }
    }

    /// The clocks of some tensors, in ascending order.
    fn of(&self, tensors: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut used = vec![false; self.groups.len()];
        tensors.for_each(|tensor| used[self.of_tensor[tensor]] = true);
        (0..used.len()).filter(|&clock| used[clock]).collect()
    }

    /// The clocks that have no tensors but these. `None` if one of these tensors shares its clock with another tensor,
    /// or if a clock has no switch yet.
    pub fn switchable(&self, tensors: &[usize]) -> Option<Vec<usize>> {
        let clocks = self.of(tensors.iter().copied());
        let all = self.of_tensor.iter().filter(|clock| clocks.contains(clock)).count();
        let ready = all == tensors.len() && clocks.iter().all(|&clock| self.switches[clock].is_some());
        ready.then_some(clocks)
    }

    /// Puts the switches into the settings of the clocks.
    pub fn switch(&self, settings: &mut [Settings]) {
        for (clock, settings) in settings.iter_mut().enumerate() {
            settings.is_active = self.is_active(clock).into();
        }
    }

    /// Gives these tensors clocks of their own, with a switch. Returns the clock that each clock had before.
    pub fn split(&self, tensors: &[usize]) -> (Self, Vec<Option<usize>>) {
        let mut next = self.clone();
        let mut before: Vec<usize> = (0..self.groups.len()).collect();
        for clock in 0..self.groups.len() {
            let (own, others): (Vec<usize>, Vec<usize>) =
                (0..self.of_tensor.len()).filter(|&i| self.of_tensor[i] == clock).partition(|i| tensors.contains(i));
            if own.is_empty() {
                continue;
            }
            let mut target = clock;
            if !others.is_empty() {
                target = next.groups.len();
                next.groups.push(self.groups[clock]);
                next.switches.push(None);
                before.push(clock);
                own.into_iter().for_each(|tensor| next.of_tensor[tensor] = target);
            }
            next.switches[target] = Some(self.is_active(clock));
        }
        (next, before.into_iter().map(Some).collect())
    }

    /// Any clock of a group, or `None` if the group does not exist. All clocks of a group agree about the schedule.
    pub fn any(&self, group: usize) -> Option<usize> {
        self.groups.iter().position(|clock_group| *clock_group == group)
    }

    /// The clocks after a change of the groups and tensors, and the number that each clock had before. The new tensors
    /// of a group share a new clock, unless the group keeps its tensors separate. A clock without a tensor is dropped,
    /// unless it is the only one of its group.
    pub fn changed(&self, separate: &[bool], members: &[Member]) -> (Self, Vec<Option<usize>>) {
        let mut now = Self { groups: Vec::new(), of_tensor: vec![0; members.len()], switches: Vec::new() };
        let mut before = Vec::new();
        for group in 0..separate.len() {
            let group_members = || members.iter().enumerate().filter(move |(_, member)| member.0 == group);
            let kept = self.of(group_members().filter_map(|(_, member)| member.1));
            let mut kept: Vec<Option<usize>> = kept.into_iter().map(Some).collect();
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
            now.switches.extend(kept.iter().map(|old| old.and_then(|old| self.switches[old])));
            before.extend(kept);
        }
        let (now, copies) = now.separated(separate);
        (now, copies.into_iter().map(|clock| before[clock]).collect())
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
        Self { groups: groups.to_vec(), clocks: ClockMap::new(groups) }
    }

    /// A group, or an error if it does not exist.
    pub fn group(&self, group: usize) -> Result<&Group, Error> {
        let groups = self.groups.len();
        self.groups.get(group).ok_or(Error::NoSuchGroup { group, groups })
    }

    /// Whether gradients are clipped by value, parameters are clamped or their decay is masked.
    pub fn limits(&self, options: &Options) -> bool {
        matches!(options.clip, Clip::Value(_)) || self.groups.iter().any(|group| group.config.limits())
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
        let groups = self.groups.iter().map(|group| (&group.config, &group.schedule));
        let (mut settings, curves) = compile(groups, &self.clocks.groups);
        self.clocks.switch(&mut settings);
        (settings, curves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_counts(counts: [usize; 2]) -> ClockMap {
        ClockMap::new(&counts.map(|count| Group { tensors: vec![(); count], ..Group::default() }))
    }

    fn map(groups: &[usize], of_tensor: &[usize]) -> ClockMap {
        ClockMap { groups: groups.to_vec(), of_tensor: of_tensor.to_vec(), switches: vec![None; groups.len()] }
    }

    #[test]
    fn tensors_that_begin_later_have_their_own_clock() {
        let begun = of_counts([2, 1]);
        assert_eq!(begun, map(&[0, 1], &[0, 0, 1]));
        // Group 0 gets another tensor, and there is a new group of two.
        let members = [(0, Some(0)), (0, Some(1)), (0, None), (1, Some(2)), (2, None), (2, None)];
        let (later, before) = begun.changed(&[false; 3], &members);
        assert_eq!(later, map(&[0, 0, 1, 2], &[0, 0, 1, 2, 3, 3]));
        assert_eq!(before, [Some(0), None, Some(1), None]);
        // The first two tensors are removed and the third is reset: group 0 then has only one clock, a new one.
        let members = [(0, None), (1, Some(3)), (2, Some(4)), (2, Some(5))];
        let (reset, before) = later.changed(&[false; 3], &members);
        assert_eq!(reset, map(&[0, 1, 2], &[0, 1, 2, 2]));
        assert_eq!(before, [None, Some(2), Some(3)]);
        // A group that loses its tensors keeps a clock.
        let (empty, before) = later.changed(&[false; 3], &[(0, Some(2)), (2, Some(4))]);
        assert_eq!(empty, map(&[0, 1, 2], &[0, 2]));
        assert_eq!(before, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn tensors_that_are_switched_have_clocks_of_their_own() {
        let begun = of_counts([3, 1]);
        assert_eq!(begun.switchable(&[1]), None);
        let (split, before) = begun.split(&[1, 3]);
        // Tensor 1 leaves its clock; tensor 3 is alone in its own.
        assert_eq!((&split.groups[..], &split.of_tensor[..]), (&[0, 1, 0][..], &[0, 2, 0, 1][..]));
        assert_eq!(split.switches, [None, Some(true), Some(true)]);
        assert_eq!(before, [Some(0), Some(1), Some(0)]);
        assert_eq!(split.switchable(&[3, 1]), Some(vec![1, 2]));
        assert_eq!([0, 1, 2].map(|clock| split.share(clock, false)), [0, 2, 3]);
        // A later change keeps the switches.
        let members = [(0, Some(0)), (0, Some(1)), (0, None), (1, Some(3))];
        let (later, before) = split.changed(&[false; 2], &members);
        assert_eq!((&later.of_tensor[..], before), (&[0, 1, 2, 3][..], vec![Some(0), Some(2), None, Some(1)]));
        assert_eq!(later.switches, [None, Some(true), None, Some(true)]);
    }

    #[test]
    fn a_group_can_keep_its_tensors_separate() {
        let group = |count, clip| Group { tensors: vec![(); count], clip, ..Group::default() };
        let groups = [group(3, Some(GroupClip::Tensor(1.0))), group(2, Some(GroupClip::Group(1.0)))];
        let begun = ClockMap::new(&groups);
        assert_eq!((&begun.groups[..], &begun.of_tensor[..]), (&[0, 1, 0, 0][..], &[0, 2, 3, 1, 1][..]));
        // One tensor is added to each group, and one is reset.
        let members = [(0, Some(0)), (0, None), (0, Some(2)), (0, None), (1, Some(3)), (1, Some(4)), (1, None)];
        let (later, before) = begun.changed(&separate(&groups), &members);
        let old: Vec<Option<usize>> = later.of_tensor.iter().map(|&clock| before[clock]).collect();
        assert_eq!(old, [Some(0), None, Some(3), None, Some(1), Some(1), None]);
        let mut own: Vec<usize> = later.of_tensor[..4].to_vec();
        own.sort_unstable();
        own.dedup();
        assert_eq!(own.len(), 4);
    }
}
