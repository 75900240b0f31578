//! Reading the state of a CPU optimizer, and loading it. Counterpart of `src/gpu/state_io.rs`.

use crate::config::loss_scale::LossScaleState;
use crate::config::rule::Rule;
use crate::cpu::adam::Adam;
use crate::cpu::storage::values;
use crate::error::Error;
use crate::plan::clocks::{ClockMap, separate};
use crate::state::contents::{ClockState, GroupState, Outline, State, StateTensor, TensorState};

impl Adam {
    /// Returns a copy of the whole state.
    pub fn state(&self) -> State {
        State {
            t: self.head.applied,
            skipped: self.head.skipped,
            skipped_in_a_row: self.head.skipped_in_a_row,
            accumulated: self.head.accumulated,
            evaluating: self.head.evaluating != 0,
            options: self.options.clone(),
            loss_scale: self.loss_scale.map(LossScaleState::from),
            groups: self.groups.iter().map(GroupState::of).collect(),
            clocks: self
                .of
                .groups
                .iter()
                .zip(&self.of.switches)
                .zip(&self.clocks)
                .map(|((group, active), clock)| ClockState::new(*group, clock, *active))
                .collect(),
            tensors: (0..self.names.len()).map(|tensor| self.tensor(tensor)).collect(),
        }
    }

    /// Returns a copy of the state of one tensor. Its `clock` is the index that the clock has in
    /// [`state`](Self::state).
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`].
    pub fn tensor_state(&self, name: &str) -> Result<TensorState, Error> {
        let found = self.names.iter().position(|known| known == name);
        found.map(|tensor| self.tensor(tensor)).ok_or(Error::NoSuchTensor { tensor: name.to_owned() })
    }

    fn tensor(&self, tensor: usize) -> TensorState {
        let (storage, moments) = (&self.storages[tensor], &self.moments[tensor]);
        let width = self.rows[tensor].as_ref().map(|rows| rows.width);
        let row = width.map_or(self.lens[tensor], |width| width as usize);
        let kind = |kind| StateTensor::new(kind, storage.dtype(kind), moments.of(kind), row);
        let state = storage.kinds_with_scales().map(kind).collect();
        let (name, clock, len) = (self.names[tensor].clone(), self.of.of_tensor[tensor], self.lens[tensor] as u64);
        TensorState { name, clock, len, width, state }
    }

    /// Loads a state. The state may come from any optimizer, on the GPU or the CPU, with the same tensors and rules. For
    /// one that differs, see [`State::fitted`]. The optimizer takes over the moments, the clocks, the counts, the
    /// configurations and the schedules.
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
        let (clocks, copies) = ClockMap::of_state(state, &order, &separate(&self.groups));
        self.clocks = copies.into_iter().map(|clock| state.clocks[clock].clock()).collect();
        self.head = state.clock_head();
        self.loss_scale =
            self.options.loss_scale.as_ref().map(|scale| state.loss_scale.unwrap_or(scale.begin()).into());
        self.set_clocks(clocks);
        for (moments, place) in self.moments.iter_mut().zip(order) {
            let tensor = &state.tensors[place];
            // The numbers of scales are those that they scale.
            for kind in tensor.state.iter().filter(|kind| !kind.kind.is_scale()) {
                moments.of_mut(kind.kind).copy_from_slice(&values(tensor, kind));
            }
        }
        Ok(())
    }

    fn outlines(&self) -> Vec<Outline> {
        let outline = |i: usize| {
            let (storage, len) = (&self.storages[i], self.lens[i] as u64);
            let width = self.rows[i].as_ref().map(|rows| rows.width);
            let kind = |kind| {
                let element = storage.dtype(kind);
                (kind, element, element.bytes() * storage.count(kind, len, width))
            };
            let state = storage.kinds_with_scales().map(kind).collect();
            Outline { name: self.names[i].clone(), clock: self.of.of_tensor[i], len, width, state }
        };
        (0..self.names.len()).map(outline).collect()
    }
}
