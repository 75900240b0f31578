//! Tensors and groups that are added, removed or reset in mid-run. Twin of `src/members.rs`.

use crate::cpu::adam::Adam;
use crate::cpu::tensor::{Group, Tensor};
use crate::error::Error;
use crate::plan::clocks::Member;
use crate::tick::clock::ClockHead;

/// After each of these calls what is remembered of the other tensors is as it was, t included. The norm is then summed as
/// that of tensors in buffers of their own.
impl Adam {
    /// Adds tensors to a group. Their moments begin at zero and their own t with it, so that their first steps are corrected
    /// as first steps are, whatever the group's t. The schedule, if there is one, is where it is for the others.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], and those of [`new`](Self::new). Then nothing has changed.
    pub fn add(&mut self, group: usize, tensors: impl IntoIterator<Item = Tensor>) -> Result<(), Error> {
        let groups = self.groups.len();
        if group >= groups {
            return Err(Error::NoSuchGroup { group, groups });
        }
        let mut lists = self.members();
        lists[group].extend(tensors.into_iter().map(|tensor| (tensor, None)));
        self.change(self.groups.clone(), lists)
    }

    /// Adds a group, at its step 0, and says its number.
    ///
    /// # Errors
    /// Those of [`new`](Self::new). Then nothing has changed.
    pub fn add_group(&mut self, group: Group) -> Result<usize, Error> {
        let (mut groups, mut lists) = (self.groups.clone(), self.members());
        lists.push(group.tensors.iter().map(|tensor| (tensor.clone(), None)).collect());
        groups.push(group);
        self.change(groups, lists)?;
        Ok(self.groups.len() - 1)
    }

    /// Removes the tensors of these names. A group that has lost them all stays, so that the numbers of the others do not
    /// change.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`], and [`Error::NoTensors`] where none would be left. Then nothing has changed.
    pub fn remove(&mut self, names: &[&str]) -> Result<(), Error> {
        self.check_names(names)?;
        let mut lists = self.members();
        lists.iter_mut().for_each(|list| list.retain(|(tensor, _)| !names.contains(&tensor.name.as_str())));
        self.change(self.groups.clone(), lists)
    }

    /// Forgets what is remembered of the tensors of these names: moments and t are those of the beginning.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]. Then nothing has changed.
    pub fn reset(&mut self, names: &[&str]) -> Result<(), Error> {
        self.check_names(names)?;
        let mut lists = self.members();
        for (tensor, before) in lists.iter_mut().flatten() {
            *before = before.filter(|_| !names.contains(&tensor.name.as_str()));
        }
        self.change(self.groups.clone(), lists)
    }

    fn check_names(&self, names: &[&str]) -> Result<(), Error> {
        match names.iter().find(|name| !self.names.iter().any(|known| known == *name)) {
            Some(name) => Err(Error::NoSuchTensor { tensor: (*name).to_owned() }),
            None => Ok(()),
        }
    }

    /// The tensors, group by group, each with its number.
    fn members(&self) -> Vec<Vec<(Tensor, Option<usize>)>> {
        let mut numbers = 0..;
        let of_group = |group: &Group| group.tensors.iter().cloned().zip(numbers.by_ref().map(Some)).collect();
        self.groups.iter().map(of_group).collect()
    }

    /// Makes an optimizer of these groups with these tensors, each with its number of before, and moves what stays.
    fn change(&mut self, mut groups: Vec<Group>, lists: Vec<Vec<(Tensor, Option<usize>)>>) -> Result<(), Error> {
        let mut members: Vec<Member> = Vec::new();
        for (number, (group, list)) in groups.iter_mut().zip(lists).enumerate() {
            members.extend(list.iter().map(|(_, before)| (number, *before)));
            group.tensors = list.into_iter().map(|(tensor, _)| tensor).collect();
        }
        let (clocks, before) = self.of.changed(groups.len(), &members);
        let mut next = Self::with(&groups, clocks, self.options.clone())?;
        for (moments, (_, before)) in next.moments.iter_mut().zip(members) {
            if let Some(before) = before {
                std::mem::swap(moments, &mut self.moments[before]);
            }
        }
        for ((clock, before), group) in next.clocks.iter_mut().zip(before).zip(&next.of.groups) {
            if let Some(before) = before {
                *clock = self.clocks[before];
            } else if let Some(other) = self.of.any(*group) {
                clock.position = self.clocks[other].position;
            }
        }
        // What is said of the bad element is in terms of regions that are no more.
        let ClockHead { nonfinite_partial, nonfinite_element, .. } = next.head;
        next.head = ClockHead { nonfinite_partial, nonfinite_element, ..self.head };
        next.loss_scale = self.loss_scale;
        *self = next;
        Ok(())
    }
}
