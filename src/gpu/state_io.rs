//! Reading the state of an optimizer from the device, and loading it.

use std::future::Future;

use bytemuck::{bytes_of, cast_slice, pod_read_unaligned};
use wgpu::Buffer;

use crate::config::loss_scale::ScaleBytes;
use crate::config::rule::Rule;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::blame::awaited;
use crate::gpu::builder::Builder;
use crate::gpu::layout::split_clock;
use crate::gpu::transfer;
use crate::gpu::transfer::Chunk;
use crate::plan::clocks::{ClockMap, Registry, separate};
use crate::state::contents::{ClockState, GroupState, Outline, State, TensorState};
use crate::state::transfer::Transfer;
use crate::tick::clock::ClockHead;

impl Adam {
    /// Reads the whole state, with the default [`Transfer`]: see [`read_state_with`](Self::read_state_with).
    pub fn read_state(&self) -> impl Future<Output = Result<State, Error>> + use<> {
        self.read_state_with(Transfer::default())
    }

    /// Reads the whole state through a staging buffer.
    ///
    /// The copy of the first piece is submitted now. If the state fits into the staging buffer, it is of the last step
    /// submitted before this call, and more steps may be submitted before the future is awaited. Otherwise no step may
    /// be submitted until the future is done. The future does not borrow the optimizer.
    ///
    /// # Errors
    /// Returns [`Error::StateMoved`] if steps ran between two pieces, [`Error::OutOfMemory`], [`Error::Readback`] and
    /// [`Error::Device`].
    pub fn read_state_with(&self, transfer: Transfer) -> impl Future<Output = Result<State, Error>> + use<> {
        self.read(None, transfer)
    }

    /// Reads the state of one tensor, without that of the others. Its `clock` is the index that the clock has in
    /// [`read_state`](Self::read_state).
    ///
    /// As for [`read_state`](Self::read_state), the state is of the last step submitted before this call, and no step
    /// may be submitted until the future is done if the tensor's state has more than 64 MiB.
    ///
    /// ```no_run
    /// # async fn show(adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
    /// let tensor = adam.read_tensor_state("weight").await?;
    /// println!("the first moment begins with {:?}", tensor.m().first());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and the errors of [`read_state_with`](Self::read_state_with).
    pub fn read_tensor_state(&self, name: &str) -> impl Future<Output = Result<TensorState, Error>> + use<> {
        let missing = Error::NoSuchTensor { tensor: name.to_owned() };
        let found = self.layout.names.iter().position(|known| known == name);
        let reading = found.map(|tensor| (tensor, self.read(Some(tensor), Transfer::default())));
        async move {
            let (tensor, reading) = reading.ok_or(missing)?;
            Ok(reading.await?.tensors.swap_remove(tensor))
        }
    }

    /// Reads the state of all tensors or of only one. The others then have no state tensors.
    fn read(&self, only: Option<usize>, transfer: Transfer) -> impl Future<Output = Result<State, Error>> + use<> {
        // The clock at the beginning and at the end, to see whether it has moved.
        let small = [Some(&self.clock), self.loss_scale_buffer()].into_iter().flatten();
        let state = self.state.iter().flatten();
        let buffers: Vec<Buffer> = small.clone().chain(state).chain([&self.clock]).cloned().collect();
        let (small, last) = (small.count(), buffers.len() - 1);
        let (layout, switches) = (self.layout.clone(), self.registry.clocks.switches.clone());
        let buffer_layouts = layout.buffer_layouts();
        let mut ranges = transfer::whole(&buffers);
        if let Some(only) = only {
            ranges.retain(|range| range.buffer < small || range.buffer == last);
            for (i, buffer_layout) in buffer_layouts.iter().enumerate() {
                let extents = buffer_layout.extents.iter().filter(|extent| extent.tensor == only);
                // Copies move whole units of 4 bytes.
                let words = extents.map(|extent| extent.bytes.start / 4 * 4..extent.bytes.end.next_multiple_of(4));
                ranges.extend(words.map(|bytes| Chunk { buffer: small + i, bytes }));
            }
            // The clock at the end stays the last.
            let (others, end) = ranges.into_iter().partition::<Vec<_>, _>(|range| range.buffer != last);
            ranges = [others, end].concat();
        }
        let (reading, begun) = transfer::read(&self.device, &self.queue, buffers, &ranges, transfer);
        let groups = self.registry.groups.iter().map(GroupState::of).collect();
        async move {
            begun.await?;
            let chosen = |(tensor, outline): (usize, Outline)| match only.is_none_or(|only| only == tensor) {
                true => outline.zeros(),
                false => Outline { state: Vec::new(), ..outline }.zeros(),
            };
            let mut tensors: Vec<TensorState> =
                layout.outlines(&buffer_layouts).into_iter().enumerate().map(chosen).collect();
            let (mut began, mut ended, mut scale) = (Vec::new(), Vec::new(), Vec::new());
            let take = |chunk: &Chunk, bytes: &[u8]| match chunk.buffer {
                0 => began.extend_from_slice(bytes),
                at if at == last => ended.extend_from_slice(bytes),
                at if at < small => scale.extend_from_slice(bytes),
                at => buffer_layouts[at - small].scatter(chunk.bytes.start, bytes, &mut tensors),
            };
            reading.finish(take).await?;
            let ((head, clocks), (ended, _)) = (split_clock(&began), split_clock(&ended));
            let steps = |head: &ClockHead| u64::from(head.applied) + u64::from(head.skipped);
            if steps(&head) != steps(&ended) {
                return Err(Error::StateMoved { began: steps(&head), ended: steps(&ended) });
            }
            Ok(State {
                t: head.applied,
                skipped: head.skipped,
                skipped_in_a_row: head.skipped_in_a_row,
                accumulated: head.accumulated,
                evaluating: head.evaluating != 0,
                options: layout.options.clone(),
                loss_scale: (!scale.is_empty()).then(|| pod_read_unaligned::<ScaleBytes>(&scale).into()),
                groups,
                clocks: (layout.clocks.groups.iter().zip(switches).zip(&clocks))
                    .map(|((group, active), clock)| ClockState::new(*group, clock, active))
                    .collect(),
                tensors,
            })
        }
    }

    /// Loads a state, with the default [`Transfer`]: see [`load_state_with`](Self::load_state_with).
    ///
    /// # Errors
    /// As for [`load_state_with`](Self::load_state_with).
    pub async fn load_state(&mut self, state: &State) -> Result<(), Error> {
        self.load_state_with(state, Transfer::default()).await
    }

    /// Loads a state through a staging buffer. The state may come from any optimizer, on the GPU or the CPU, with the
    /// same tensors and rules. For one that differs, see [`State::fitted`].
    ///
    /// The optimizer takes over the moments, the clocks, the counts, the configurations and the schedules. Steps that
    /// are submitted afterwards continue from the state. If a schedule differs, if other tensors share a clock or
    /// are switched, or if parameters are now clamped, the optimizer gets new buffers: record steps again then.
    ///
    /// Await the future to its end, and submit no step before. A future that is dropped leaves a partly loaded state.
    ///
    /// # Errors
    /// Returns [`Error::StateGroups`], [`Error::StateVariant`], [`Error::NotInState`], [`Error::OnlyInState`],
    /// [`Error::StateDiffers`] or [`Error::InvalidState`] for a state that does not fit, the errors of an invalid
    /// configuration or schedule, and [`Error::OutOfMemory`]. The optimizer is unchanged then. After [`Error::Device`],
    /// it may be partly loaded.
    pub async fn load_state_with(&mut self, state: &State, transfer: Transfer) -> Result<(), Error> {
        let buffer_layouts = self.layout.buffer_layouts();
        let rules: Vec<Rule> = self.registry.groups.iter().map(|group| group.config.variant.rule()).collect();
        let order = state.fits(&rules, &self.registry.clocks.groups, &self.layout.outlines(&buffer_layouts))?;
        let mut registry = self.registry.clone();
        let mut rescheduled = false;
        for (i, (group, state)) in registry.groups.iter_mut().zip(&state.groups).enumerate() {
            group.config = state.config.clone();
            if let Some(schedule) = state.schedule.as_ref().filter(|schedule| **schedule != group.schedule) {
                group.schedule = schedule.clone();
                rescheduled = true;
            }
            group.validate(i)?;
        }
        let copies;
        (registry.clocks, copies) = ClockMap::of_state(state, &order, &separate(&registry.groups));
        let clamped = registry.limits(&self.layout.options) != self.layout.limits;
        if registry.clocks != self.registry.clocks || rescheduled || clamped {
            // The regions, the schedules or the kernels differ, so new buffers are needed. The old ones stay until everything is loaded.
            let builder = Builder::checked(&self.device, &self.queue, registry, self.layout.options.clone())?;
            let build = || builder.build(self.reusable.clone());
            let adam = awaited(&self.device, &self.registry.groups, "making the optimizer", build).await?;
            adam.fill(state, &order, &copies, &adam.registry, transfer).await?;
            *self = adam;
            return Ok(());
        }
        self.fill(state, &order, &copies, &registry, transfer).await?;
        self.registry = registry;
        self.write_rows();
        Ok(())
    }

    /// Writes a state to the buffers. The state must fit.
    async fn fill(
        &self,
        state: &State,
        order: &[usize],
        copies: &[usize],
        registry: &Registry,
        transfer: Transfer,
    ) -> Result<(), Error> {
        let settings = self.layout.settings(registry);
        let (buffer_layouts, clock, settings) =
            (self.layout.buffer_layouts(), state.clock_bytes(copies), cast_slice::<_, u8>(&settings));
        let scale = self.layout.options.loss_scale.as_ref().map(|scale| state.loss_scale.unwrap_or(scale.begin()));
        let scale = scale.map(ScaleBytes::from);
        // A scale that is shared belongs to the other optimizer.
        let own_scale = self.loss_scale_buffer().filter(|_| !self.reusable.shares);
        let small: Vec<&Buffer> = [&self.clock, &self.settings].into_iter().chain(own_scale).collect();
        let buffers: Vec<Buffer> = small.iter().copied().chain(self.state.iter().flatten()).cloned().collect();
        let give = |chunk: &Chunk, to: &mut Vec<u8>| {
            let part = |bytes: &[u8]| bytes[chunk.bytes.start as usize..chunk.bytes.end as usize].to_vec();
            match chunk.buffer {
                0 => to.extend(part(&clock)),
                1 => to.extend(part(settings)),
                at if at < small.len() => to.extend(part(scale.as_ref().map_or(&[], bytes_of))),
                at => buffer_layouts[at - small.len()].gather(chunk.bytes.clone(), &state.tensors, order, to),
            }
        };
        transfer::write(&self.device, &self.queue, buffers, transfer, give).await
    }
}
