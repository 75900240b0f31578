//! Adding, removing and resetting tensors between steps. Counterpart of `src/gpu/edit.rs`.

use crate::config::rows::check_rebind;
use crate::cpu::adam::Adam;
use crate::cpu::tensor::{Group, Tensor};
use crate::error::Error;
use crate::plan::clocks::{Lists, check_names, lists, numbers_of, regroup, separate};
use crate::tick::clock::ClockHead;

/// # Changing the tensors
///
/// The remaining tensors keep their state and their step counts. Gradient norms are then summed in the order of a GPU
/// optimizer with separately allocated tensors.
impl Adam {
    /// Adds tensors to a group, at its end. In the order of [`tensor_names`](Self::tensor_names), and so in the list of
    /// a step, they come before the tensors of later groups.
    ///
    /// Their moments start at zero, and they count their own steps, so that they get the bias correction of first
    /// steps. The group's schedule continues for them at the group's position. They are active, whatever the others are.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], and the errors of [`new`](Self::new). Nothing has changed then.
    pub fn add(&mut self, group: usize, tensors: impl IntoIterator<Item = Tensor>) -> Result<(), Error> {
        let groups = self.groups.len();
        if group >= groups {
            return Err(Error::NoSuchGroup { group, groups });
        }
        let mut lists = lists(&self.groups);
        lists[group].extend(tensors.into_iter().map(|tensor| (tensor, None)));
        self.change(self.groups.clone(), lists)
    }

    /// Adds a group, at step 0, and returns its number.
    ///
    /// # Errors
    /// Returns the errors of [`new`](Self::new). Nothing has changed then.
    pub fn add_group(&mut self, group: Group) -> Result<usize, Error> {
        let (mut groups, mut lists) = (self.groups.clone(), lists(&self.groups));
        lists.push(group.tensors.iter().map(|tensor| (tensor.clone(), None)).collect());
        groups.push(group);
        self.change(groups, lists)?;
        Ok(self.groups.len() - 1)
    }

    /// Removes tensors by name. A group without tensors stays, so that the numbers of the other groups do not change.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and [`Error::NoTensors`] if no tensor would be left. Nothing has changed then.
    pub fn remove(&mut self, names: &[&str]) -> Result<(), Error> {
        check_names(&self.names, names)?;
        let mut lists = lists(&self.groups);
        lists.iter_mut().for_each(|list| list.retain(|(tensor, _)| !names.contains(&tensor.name.as_str())));
        self.change(self.groups.clone(), lists)
    }

    /// Resets tensors by name: their moments and their step counts restart as in a new optimizer, and they are active.
    /// Parameters do not change.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`]. Nothing has changed then.
    pub fn reset(&mut self, names: &[&str]) -> Result<(), Error> {
        check_names(&self.names, names)?;
        let mut lists = lists(&self.groups);
        for (tensor, before) in lists.iter_mut().flatten() {
            *before = before.filter(|_| !names.contains(&tensor.name.as_str()));
        }
        self.change(self.groups.clone(), lists)
    }

    /// Gives a tensor other rows, or more or fewer of them, by its name: see [`crate::Adam::rebind`].
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], [`Error::Rebind`] if the length or a dtype differs, [`Error::Rows`] if the state
    /// of its rows would be another, and the errors of [`new`](Self::new). Nothing has changed then.
    pub fn rebind(&mut self, tensor: Tensor) -> Result<(), Error> {
        let number = numbers_of(&self.names, &[&tensor.name])?[0];
        let rows = (self.rows[number].as_ref(), tensor.rows.as_ref());
        let lens = (self.lens[number] as u64, tensor.len as u64);
        check_rebind(&tensor.name, rows, (self.dtypes[number].0, tensor.param), lens)?;
        let mut lists = lists(&self.groups);
        if let Some((old, _)) = lists.iter_mut().flatten().nth(number) {
            *old = tensor;
        }
        self.change(self.groups.clone(), lists)
    }

    /// Makes an optimizer with these groups and tensors, and moves the state of the tensors that have an old number.
    fn change(&mut self, mut groups: Vec<Group>, lists: Lists<Tensor>) -> Result<(), Error> {
        let members = regroup(&mut groups, lists);
        let (clocks, before) = self.of.changed(&separate(&groups), &members);
        let mut next = Self::with(&groups, clocks, self.options.clone())?;
        for (moments, (_, before)) in next.moments.iter_mut().zip(members) {
            if let Some(before) = before {
                moments.take_over(&mut self.moments[before]);
            }
        }
        for ((clock, before), group) in next.clocks.iter_mut().zip(before).zip(&next.of.groups) {
            if let Some(before) = before {
                *clock = self.clocks[before];
            } else if let Some(other) = self.of.any(*group) {
                clock.position = self.clocks[other].position;
            }
        }
        // The recorded non-finite element refers to the old regions.
        let ClockHead { nonfinite_partial, nonfinite_element, .. } = next.head;
        next.head = ClockHead { nonfinite_partial, nonfinite_element, ..self.head };
        next.loss_scale = self.loss_scale;
        *self = next;
        Ok(())
    }
}
