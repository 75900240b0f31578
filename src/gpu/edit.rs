//! Adding, removing and resetting tensors between steps. The state of the remaining tensors is copied on the device.

use std::mem::offset_of;
use std::ops::Range;

use wgpu::{Buffer, CommandEncoderDescriptor};

use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::config::rows::check_rebind;
use crate::config::tensor::Tensor;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::blame::at_once;
use crate::gpu::builder::Builder;
use crate::plan::buffer_layout::copies;
use crate::plan::clocks::{Lists, Member, Registry, check_names, lists, numbers_of, regroup, separate};
use crate::tick::clock::{Clock, ClockHead};

/// # Changing the tensors
///
/// These methods reallocate the optimizer's buffers and copy the state of the remaining tensors on the device. Nothing
/// is read back. The remaining tensors keep their state and their step counts bit for bit. The old and the new state
/// are both in device memory until the copy is done.
///
/// Submit recorded steps before the call, and record again after it. A [`Probe`](crate::Probe) must be made again.
impl Adam {
    /// Adds tensors to a group.
    ///
    /// Their moments start at zero, and they count their own steps, so that they get the bias correction of first
    /// steps. The group's schedule continues for them at the group's position. They are active, whatever the others are.
    ///
    /// ```no_run
    /// # fn grow(mut adam: wgpu_adam::Adam, param: &wgpu::Buffer, grad: &wgpu::Buffer) -> Result<(), wgpu_adam::Error> {
    /// use wgpu_adam::Tensor;
    /// adam.add(0, [Tensor::f32("head", param, grad)])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], and the errors of [`new`](Self::new). Nothing has changed then.
    pub fn add(&mut self, group: usize, tensors: impl IntoIterator<Item = Tensor>) -> Result<(), Error> {
        let groups = self.registry.groups.len();
        if group >= groups {
            return Err(Error::NoSuchGroup { group, groups });
        }
        let mut lists = lists(&self.registry.groups);
        lists[group].extend(tensors.into_iter().map(|tensor| (tensor, None)));
        self.change(self.registry.groups.clone(), lists)
    }

    /// Adds a group, at step 0, and returns its number.
    ///
    /// # Errors
    /// Returns the errors of [`new`](Self::new). Nothing has changed then.
    pub fn add_group(&mut self, group: Group) -> Result<usize, Error> {
        let (mut groups, mut lists) = (self.registry.groups.clone(), lists(&self.registry.groups));
        lists.push(group.tensors.iter().map(|tensor| (tensor.clone(), None)).collect());
        groups.push(group);
        self.change(groups, lists)?;
        Ok(self.registry.groups.len() - 1)
    }

    /// Removes tensors by name. A group without tensors stays, so that the numbers of the other groups do not change.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and [`Error::NoTensors`] if no tensor would be left; also the errors of
    /// [`new`](Self::new). Nothing has changed then.
    pub fn remove(&mut self, names: &[&str]) -> Result<(), Error> {
        check_names(&self.layout.names, names)?;
        let mut lists = lists(&self.registry.groups);
        lists.iter_mut().for_each(|list| list.retain(|(tensor, _)| !names.contains(&tensor.name.as_str())));
        self.change(self.registry.groups.clone(), lists)
    }

    /// Resets tensors by name: their moments and their step counts restart as in a new optimizer, and they are active.
    /// Parameters do not change.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and the errors of [`new`](Self::new). Nothing has changed then.
    pub fn reset(&mut self, names: &[&str]) -> Result<(), Error> {
        check_names(&self.layout.names, names)?;
        let mut lists = lists(&self.registry.groups);
        for (tensor, before) in lists.iter_mut().flatten() {
            *before = before.filter(|_| !names.contains(&tensor.name.as_str()));
        }
        self.change(self.registry.groups.clone(), lists)
    }

    /// Gives a tensor other views, by its name. Its state stays, with its step count.
    ///
    /// A tensor of [rows](crate::rows) may get more or fewer rows: the first rows keep their state, and others are as if they
    /// had not been stepped. Its masks, lists and rates may be others, also of another kind. For any other tensor, the
    /// length must stay the same.
    ///
    /// ```no_run
    /// # fn grow(mut adam: wgpu_adam::Adam, param: &wgpu::Buffer, grad: &wgpu::Buffer) -> Result<(), wgpu_adam::Error> {
    /// use wgpu_adam::Tensor;
    /// use wgpu_adam::rows::Rows;
    /// // Larger buffers, for more rows of 10 columns.
    /// adam.rebind(Tensor::f32("splats", param, grad).with_rows(Rows::new(10)))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], [`Error::Rebind`] if the length or a dtype differs, [`Error::Rows`] if the state
    /// of its rows would be another, and the errors of [`new`](Self::new). Nothing has changed then.
    pub fn rebind(&mut self, tensor: Tensor) -> Result<(), Error> {
        self.rebind_all([tensor])
    }

    /// Gives several tensors other views, as [`rebind`](Self::rebind) does, with one reallocation. Tensors may swap their
    /// places.
    ///
    /// # Errors
    /// As for [`rebind`](Self::rebind).
    pub fn rebind_all(&mut self, tensors: impl IntoIterator<Item = Tensor>) -> Result<(), Error> {
        let mut registry = self.registry.clone();
        for tensor in tensors {
            let number = numbers_of(&self.layout.names, &[&tensor.name])?[0];
            let mut of_groups = registry.groups.iter_mut().flat_map(|group| &mut group.tensors);
            if let Some(old) = of_groups.nth(number) {
                let rows = (old.rows.as_ref(), tensor.rows.as_ref());
                let (dtypes, lens) = ((old.param.dtype, tensor.param.dtype), (old.param.len, tensor.param.len));
                check_rebind(&tensor.name, rows, dtypes, lens)?;
                *old = tensor;
            }
        }
        let before: Vec<Option<usize>> = (0..registry.clocks.groups.len()).map(Some).collect();
        self.rebuild(registry, &self.unchanged(), &before)
    }

    /// Makes an optimizer with these groups and tensors, and copies the state of the tensors that have an old number.
    fn change(&mut self, mut groups: Vec<Group>, lists: Lists<Tensor>) -> Result<(), Error> {
        let members = regroup(&mut groups, lists);
        let (clocks, before) = self.registry.clocks.changed(&separate(&groups), &members);
        self.rebuild(Registry { groups, clocks }, &members, &before)
    }

    /// Gives tensors clocks of their own, and sets whether they are active.
    pub(crate) fn split(&mut self, tensors: &[usize], active: bool) -> Result<(), Error> {
        let (mut clocks, before) = self.registry.clocks.split(tensors);
        tensors.iter().for_each(|&tensor| clocks.switches[clocks.of_tensor[tensor]] = Some(active));
        self.rebuild(Registry { groups: self.registry.groups.clone(), clocks }, &self.unchanged(), &before)
    }

    /// Sets the configuration of a group, the first that clamps parameters.
    pub(crate) fn clamp(&mut self, group: usize, config: Config) -> Result<(), Error> {
        let mut registry = self.registry.clone();
        registry.groups[group].config = config;
        let before: Vec<Option<usize>> = (0..registry.clocks.groups.len()).map(Some).collect();
        self.rebuild(registry, &self.unchanged(), &before)
    }

    /// The members, each with its own number.
    fn unchanged(&self) -> Vec<Member> {
        regroup(&mut self.registry.groups.clone(), lists(&self.registry.groups))
    }

    /// Makes an optimizer with these groups and clocks, and copies the state of the members that have an old number.
    fn rebuild(&mut self, registry: Registry, members: &[Member], before: &[Option<usize>]) -> Result<(), Error> {
        let groups = registry.groups.clone();
        let builder = Builder::checked(&self.device, &self.queue, registry, self.layout.options.clone())?;
        *self = at_once(&self.device, &groups, "changing the tensors", || {
            builder.build(self.reusable.clone()).inspect(|next| self.carry(next, members, before))
        })?;
        Ok(())
    }

    /// Submits the copies of state that stays.
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
        // The recorded non-finite element refers to the old regions.
        for Range { start, end } in
            [0..offset_of!(ClockHead, nonfinite_partial), offset_of!(ClockHead, grad_norm)..size_of::<ClockHead>()]
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
