//! Tensors and groups that are added, removed or reset in mid-run. All that stays is carried over on the device.

use std::mem::offset_of;
use std::ops::Range;

use wgpu::{Buffer, CommandEncoderDescriptor};

use crate::config::group::Group;
use crate::config::tensor::Tensor;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::builder::Builder;
use crate::gpu::error_scopes::{ErrorScopes, now_or_none};
use crate::plan::buffer_layout::copies;
use crate::plan::clocks::{Member, Registry};
use crate::tick::clock::{Clock, ClockHead};

/// After each of these calls the optimizer has other buffers: steps must be recorded anew, and those that are recorded
/// already must be submitted before the call. What it remembers of the other tensors stays, t included, as if nothing had
/// been; it is copied on the device, in what is submitted now, and nothing is read back. For the moment of the copy both
/// states are in the device's memory.
impl Adam {
    /// Adds tensors to a group. Their moments begin at zero and their own t with it, so that their first steps are corrected
    /// as first steps are, whatever the group's t. The schedule, if there is one, is where it is for the others.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], and those of [`new`](Self::new). Then nothing has changed.
    pub fn add(&mut self, group: usize, tensors: impl IntoIterator<Item = Tensor>) -> Result<(), Error> {
        let groups = self.registry.groups.len();
        if group >= groups {
            return Err(Error::NoSuchGroup { group, groups });
        }
        let mut lists = self.members();
        lists[group].extend(tensors.into_iter().map(|tensor| (tensor, None)));
        self.change(self.registry.groups.clone(), lists)
    }

    /// Adds a group, at its step 0, and says its number.
    ///
    /// # Errors
    /// Those of [`new`](Self::new). Then nothing has changed.
    pub fn add_group(&mut self, group: Group) -> Result<usize, Error> {
        let (mut groups, mut lists) = (self.registry.groups.clone(), self.members());
        lists.push(group.tensors.iter().map(|tensor| (tensor.clone(), None)).collect());
        groups.push(group);
        self.change(groups, lists)?;
        Ok(self.registry.groups.len() - 1)
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
        self.change(self.registry.groups.clone(), lists)
    }

    /// Forgets what is remembered of the tensors of these names: moments and t are those of the beginning. Their params stay.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`]. Then nothing has changed.
    pub fn reset(&mut self, names: &[&str]) -> Result<(), Error> {
        self.check_names(names)?;
        let mut lists = self.members();
        for (tensor, before) in lists.iter_mut().flatten() {
            *before = before.filter(|_| !names.contains(&tensor.name.as_str()));
        }
        self.change(self.registry.groups.clone(), lists)
    }

    fn check_names(&self, names: &[&str]) -> Result<(), Error> {
        match names.iter().find(|name| !self.layout.names.iter().any(|known| known == *name)) {
            Some(name) => Err(Error::NoSuchTensor { tensor: (*name).to_owned() }),
            None => Ok(()),
        }
    }

    /// The tensors, group by group, each with its number.
    fn members(&self) -> Vec<Vec<(Tensor, Option<usize>)>> {
        let mut numbers = 0..;
        let of_group = |group: &Group| group.tensors.iter().cloned().zip(numbers.by_ref().map(Some)).collect();
        self.registry.groups.iter().map(of_group).collect()
    }

    /// Makes an optimizer of these groups with these tensors, each with its number of before, and copies what stays.
    fn change(&mut self, mut groups: Vec<Group>, lists: Vec<Vec<(Tensor, Option<usize>)>>) -> Result<(), Error> {
        let mut members: Vec<Member> = Vec::new();
        for (number, (group, list)) in groups.iter_mut().zip(lists).enumerate() {
            members.extend(list.iter().map(|(_, before)| (number, *before)));
            group.tensors = list.into_iter().map(|(tensor, _)| tensor).collect();
        }
        let (clocks, before) = self.registry.clocks.changed(groups.len(), &members);
        let builder =
            Builder::checked(&self.device, &self.queue, Registry { groups, clocks }, self.layout.options.clone())?;
        let scopes = ErrorScopes::open(&self.device);
        let made = builder.build(self.reusable.clone()).inspect(|next| self.carry(next, &members, &before));
        now_or_none(scopes.close("changing the tensors")).unwrap_or(Ok(()))?;
        *self = made?;
        Ok(())
    }

    /// Submits the copies of what stays.
    fn carry(&self, next: &Self, members: &[Member], clocks: &[Option<usize>]) {
        let mut encoder =
            self.device.create_command_encoder(&CommandEncoderDescriptor { label: Some("wgpu-adam change") });
        let (from, to): (Vec<&Buffer>, Vec<&Buffer>) =
            (self.state.iter().flatten().collect(), next.state.iter().flatten().collect());
        for copy in copies(&self.layout.buffer_layouts(), &next.layout.buffer_layouts(), |tensor| members[tensor].1) {
            encoder.copy_buffer_to_buffer(from[copy.from.0], copy.from.1, to[copy.to.0], copy.to.1, copy.bytes);
        }
        let mut copy_clock = |from: u64, to: u64, bytes: u64| {
            encoder.copy_buffer_to_buffer(&self.clock, from, &next.clock, to, bytes);
        };
        // What is said of the bad element is in terms of regions that are no more.
        for Range { start, end } in
            [0..offset_of!(ClockHead, nonfinite_partial), offset_of!(ClockHead, grad_norm)..offset_of!(ClockHead, pad)]
        {
            copy_clock(start as u64, start as u64, (end - start) as u64);
        }
        let size = size_of::<Clock>() as u64;
        let at = |clock: usize| size_of::<ClockHead>() as u64 + size * clock as u64;
        for (clock, (before, group)) in clocks.iter().zip(&next.layout.clocks.groups).enumerate() {
            if let Some(before) = before {
                copy_clock(at(*before), at(clock), size);
            } else if let Some(other) = self.layout.clocks.any(*group) {
                let position = offset_of!(Clock, position) as u64;
                copy_clock(at(other) + position, at(clock) + position, 4);
            }
        }
        self.queue.submit([encoder.finish()]);
    }
}
