//! Reading the state of a CPU optimizer, and loading it. Counterpart of `src/gpu/state_io.rs`.

use crate::config::rule::Rule;
use crate::cpu::adam::Adam;
use crate::cpu::moments::Moments;
use crate::cpu::storage::{bytes, values};
use crate::error::Error;
use crate::plan::clocks::ClockMap;
use crate::plan::storage::Storage;
use crate::state::contents::{ClockState, GroupState, Outline, State, StateTensor, TensorState};
use crate::tick::clock::ClockHead;

impl Adam {
    /// Returns a copy of the whole state.
    pub fn state(&self) -> State {
        let tensors = self.names.iter().zip(&self.lens).zip(&self.of.of_tensor).zip(&self.moments).zip(&self.storages);
        let tensor = |((((name, &len), &clock), moments), storage): ((((&String, _), &usize), &Moments), &Storage)| {
            let kind = |kind| {
                let bytes = bytes(storage, kind, moments.of(kind));
                StateTensor { kind, dtype: storage.dtype(kind), bytes }
            };
            let state = storage.kinds_with_scales().map(kind).collect();
            TensorState { name: name.clone(), clock, len: len as u64, state }
        };
        State {
            t: self.head.applied,
            skipped: self.head.skipped,
            options: self.options.clone(),
            loss_scale: self.loss_scale,
            groups: self.groups.iter().map(GroupState::of).collect(),
            clocks: self
                .of
                .groups
                .iter()
                .zip(&self.clocks)
                .map(|(group, clock)| ClockState::new(*group, clock))
                .collect(),
            tensors: tensors.map(tensor).collect(),
        }
    }

    /// Loads a state. The state may come from any optimizer, on the GPU or the CPU, with the same tensors and rules.
    /// The optimizer takes over the moments, the clocks, the counts, the configurations and the schedules.
    ///
    /// # Errors
    /// Returns [`Error::StateGroups`], [`Error::StateVariant`], [`Error::NotInState`], [`Error::OnlyInState`],
    /// [`Error::StateDiffers`] or [`Error::InvalidState`] for a state that does not fit, and the errors of an invalid
    /// configuration or schedule. Nothing has changed then.
    pub fn load_state(&mut self, state: &State) -> Result<(), Error> {
        let rules: Vec<Rule> = self.groups.iter().map(|group| group.config.variant.rule()).collect();
        let order = state.fits(&rules, &self.of.groups, &self.outlines())?;
        let mut groups = self.groups.clone();
        for (i, (group, state)) in groups.iter_mut().zip(&state.groups).enumerate() {
            group.config = state.config.clone();
            if let Some(schedule) = &state.schedule {
                group.schedule = schedule.clone();
            }
            group.validate(i)?;
        }
        self.groups = groups;
        self.of = ClockMap {
            groups: state.clocks.iter().map(|clock| clock.group).collect(),
            of_tensor: order.iter().map(|&place| state.tensors[place].clock).collect(),
        };
        self.clocks = state.clocks.iter().map(ClockState::clock).collect();
        let (applied, skipped) = (state.t, state.skipped);
        self.head = ClockHead::at(applied, skipped);
        self.loss_scale = self.options.loss_scale.as_ref().map(|scale| state.loss_scale.unwrap_or(scale.begin()));
        self.settle();
        for (moments, place) in self.moments.iter_mut().zip(order) {
            let tensor = &state.tensors[place];
            // The numbers of scales are those that they scale.
            for kind in tensor.state.iter().filter(|kind| !kind.kind.is_scale()) {
                *moments.of_mut(kind.kind) = values(tensor, kind);
            }
        }
        Ok(())
    }

    fn outlines(&self) -> Vec<Outline> {
        let tensors = self.names.iter().zip(&self.lens).zip(&self.of.of_tensor).zip(&self.storages);
        let outline = |(((name, &len), &clock), storage): (((&String, &usize), &usize), &Storage)| {
            let kind = |kind| {
                let element = storage.dtype(kind);
                (kind, element, element.bytes() * Storage::count(kind, len as u64))
            };
            let state = storage.kinds_with_scales().map(kind).collect();
            Outline { name: name.clone(), clock, len: len as u64, state }
        };
        tensors.map(outline).collect()
    }
}
