//! Fits a state to an optimizer that differs: the tensors that both have are converted, and the others are named.

use std::collections::HashMap;

use crate::config::rule::StateKind;
use crate::error::Error;
use crate::num::half::{split, to_bf16};
use crate::state::contents::{ClockState, GroupState, State, StateTensor, TensorState, in_words};

/// The side whose run goes on after [`State::fitted`].
///
/// This side provides everything that does not belong to the moments of single tensors: the configurations, the
/// schedules and the positions in them, the counts of steps, the loss scale, and which tensors are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Base {
    /// The optimizer. A new run begins with the moments of an earlier one: fine-tuning, for example.
    Optimizer,
    /// The loaded state. Its run is resumed, in another storage format or with other tensors for example.
    State,
}

/// The outcome of [`State::fitted`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Fitted {
    /// The names of the tensors whose state is taken over, in the order of the optimizer.
    pub loaded: Vec<String>,
    /// An error for each tensor that is left out: [`Error::NotInState`] for a tensor that only the optimizer has,
    /// [`Error::StateDiffers`] for a tensor with another length or rule, [`Error::OnlyInState`] for a tensor that only
    /// the loaded state has. They are in this order.
    pub left_out: Vec<Error>,
}

impl State {
    /// Fits the state to an optimizer with other tensors, groups or storage formats. `current` is the state that the
    /// optimizer has now. The result is a state for its `load_state`.
    ///
    /// A tensor that both sides have, with the same name, length and rule, is taken over:
    ///
    /// - It is in the group that the optimizer has it in.
    /// - Its moments are converted to the dtypes of the optimizer. Rounding is to nearest.
    /// - A master becomes a remainder where the optimizer has one. Nothing else can become a master or a remainder. The
    ///   optimizer then keeps its own. A master restarts from a parameter that differs from it.
    /// - It keeps its step count and the powers of beta that belong to it, so that its bias correction goes on.
    ///
    /// Every other tensor of the optimizer keeps its state and its step count. Parameters belong to the caller.
    ///
    /// `base` is the side whose run goes on. With [`Base::State`], a group of the optimizer continues the group of the
    /// state that its tensors come from: the configuration, the schedule and the position in it. The schedule of the
    /// optimizer stays if the state has none, and so does the loss scale. A group that takes over no tensor remains as
    /// it is.
    ///
    /// ```
    /// use wgpu_adam::state::Base;
    /// use wgpu_adam::{Config, Options, cpu};
    /// let adam = |names: &[&str]| {
    ///     let tensors = names.iter().map(|name| cpu::Tensor::new(*name, 2)).collect();
    ///     cpu::Adam::new(&[cpu::Group::new(Config::default(), tensors)], Options::default())
    /// };
    /// let trained = adam(&["body", "head"])?.state();
    /// let mut tuned = adam(&["body", "new head"])?;
    /// let (state, fitted) = trained.fitted(&tuned.state(), Base::Optimizer)?;
    /// tuned.load_state(&state)?;
    /// assert_eq!(fitted.loaded, ["body"]);
    /// let left_out: Vec<String> = fitted.left_out.iter().map(ToString::to_string).collect();
    /// assert_eq!(left_out, ["tensor `new head` is not in the state", "tensor `head` of the state is not in the optimizer"]);
    /// # Ok::<(), wgpu_adam::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::StateGroupsDiffer`] with [`Base::State`] if a group of the optimizer has tensors of several
    /// groups of the state that differ in configuration, schedule or position. Returns the errors of
    /// [`to_bytes`](Self::to_bytes) if one of the states was edited to an invalid one.
    pub fn fitted(&self, current: &Self, base: Base) -> Result<(Self, Fitted), Error> {
        self.validate()?;
        current.validate()?;
        let mut by_name: HashMap<&str, &TensorState> =
            self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let mut outcome = Fitted::default();
        // For each tensor of the optimizer, the one that replaces it.
        let mut sources = Vec::new();
        for need in &current.tensors {
            let given = by_name.remove(need.name.as_str()).ok_or(Error::NotInState { tensor: need.name.clone() });
            let given = given.and_then(|given| self.replaces(given, need, current).map(|()| given));
            match &given {
                Ok(_) => outcome.loaded.push(need.name.clone()),
                Err(reason) => outcome.left_out.push(reason.clone()),
            }
            sources.push(given.ok());
        }
        let strangers = self.tensors.iter().filter(|tensor| by_name.contains_key(tensor.name.as_str()));
        outcome.left_out.extend(strangers.map(|tensor| Error::OnlyInState { tensor: tensor.name.clone() }));

        // The clock of each tensor: the group, whether it is one of the optimizer, its number on that side, and whether
        // the tensor is active, as on the side whose run goes on.
        let clock = |(need, source): (&TensorState, &Option<&TensorState>)| {
            let (group, own) = (current.group_of(need), current.clocks[need.clock].active);
            let active =
                |source: &TensorState| if base == Base::State { self.clocks[source.clock].active } else { own };
            source.map_or((group, true, need.clock, own), |source| (group, false, source.clock, active(source)))
        };
        let clock_of_tensor: Vec<(usize, bool, usize, Option<bool>)> =
            current.tensors.iter().zip(&sources).map(clock).collect();
        let mut kept = clock_of_tensor.clone();
        for (i, ClockState { group, active, .. }) in current.clocks.iter().enumerate() {
            // A group without tensors needs a clock too.
            if !kept.iter().any(|kept| kept.0 == *group) {
                kept.push((*group, true, i, *active));
            }
        }
        kept.sort_unstable();
        kept.dedup();

        let mut groups = current.groups.clone();
        let mut positions: Vec<u32> = (0..groups.len()).map(|group| current.position(group)).collect();
        for (group, state) in groups.iter_mut().enumerate().filter(|_| base == Base::State) {
            let tensors = sources.iter().zip(&clock_of_tensor).filter(|(_, clock)| clock.0 == group);
            if let Some(given) = self.single_group(group, tensors.filter_map(|(source, _)| *source))? {
                let GroupState { config, schedule, .. } = self.groups[given].clone();
                (state.config, state.schedule) = (config, schedule.or(state.schedule.take()));
                positions[group] = self.position(given);
            }
        }
        let clocks = kept.iter().map(|&(group, of_optimizer, clock, active)| {
            let side = if of_optimizer { current } else { self };
            ClockState { group, position: positions[group], active, ..side.clocks[clock].clone() }
        });
        let clocks: Vec<ClockState> = clocks.collect();
        let tensors = current.tensors.iter().zip(sources).zip(clock_of_tensor).map(|((need, source), clock)| {
            let state =
                source.map_or_else(|| need.state.clone(), |source| source.converted(need, self.clocks[source.clock].t));
            let clock = kept.partition_point(|kept| *kept < clock);
            TensorState { name: need.name.clone(), clock, len: need.len, width: need.width, state }
        });
        let tensors = tensors.collect();
        let run = if base == Base::State { self } else { current };
        let loss_scale = run.loss_scale.or(current.loss_scale);
        let options = current.options.clone();
        let State { t, skipped, skipped_in_a_row, accumulated, .. } = *run;
        let evaluating = run.evaluating || clocks.iter().any(|clock| clock.to_average != 0.0);
        let fitted = Self {
            t,
            skipped,
            skipped_in_a_row,
            accumulated,
            evaluating,
            options,
            loss_scale,
            groups,
            clocks,
            tensors,
        };
        fitted.validate()?;
        Ok((fitted, outcome))
    }

    fn group_of(&self, tensor: &TensorState) -> usize {
        self.clocks[tensor.clock].group
    }

    /// The position of a group in its schedule.
    fn position(&self, group: usize) -> u32 {
        self.clocks.iter().find(|clock| clock.group == group).map_or(0, |clock| clock.position)
    }

    /// Whether a tensor can replace that of the optimizer.
    fn replaces(&self, given: &TensorState, need: &TensorState, current: &Self) -> Result<(), Error> {
        let rules = (self.rule(given.clock), current.rule(need.clock));
        let tensor = need.name.clone();
        if given.len != need.len {
            let (given, need) = (given.len.to_string(), need.len.to_string());
            return Err(Error::StateDiffers { tensor, what: "its length", given, need });
        }
        if given.width != need.width {
            let [given, need] = [given.width, need.width].map(in_words);
            return Err(Error::StateDiffers { tensor, what: "the width of its rows", given, need });
        }
        if rules.0 != rules.1 {
            let (given, need) = (format!("{:?}", rules.0), format!("{:?}", rules.1));
            return Err(Error::StateDiffers { tensor, what: "its rule", given, need });
        }
        // A second moment of rows differs from one of elements.
        let second =
            |tensor: &TensorState| tensor.find(StateKind::V).map_or(0, |v| v.bytes.len() as u64 / v.dtype.bytes());
        if second(given) != second(need) {
            let [given, need] = [second(given), second(need)].map(|len| format!("{len} elements"));
            return Err(Error::StateDiffers { tensor, what: "its second moment", given, need });
        }
        Ok(())
    }

    /// The group of these tensors, which go to one group of the optimizer, or an error if they are in groups that
    /// differ.
    fn single_group<'a>(
        &self,
        group: usize,
        tensors: impl Iterator<Item = &'a TensorState>,
    ) -> Result<Option<usize>, Error> {
        let mut groups = tensors.map(|tensor| self.group_of(tensor));
        let Some(first) = groups.next() else { return Ok(None) };
        let alike =
            |other: &usize| self.groups[first] == self.groups[*other] && self.position(first) == self.position(*other);
        match groups.find(|other| !alike(other)) {
            Some(second) => Err(Error::StateGroupsDiffer { group, first, second }),
            None => Ok(Some(first)),
        }
    }
}

impl TensorState {
    /// Its state in the dtypes of `need`, which has the same length and rule. Rows that have not counted their steps have
    /// taken `t`.
    fn converted(&self, need: &Self, t: u32) -> Vec<StateTensor> {
        let convert = |need: &StateTensor| {
            let (kind, dtype) = (need.kind, need.dtype);
            match (self.find(kind), kind) {
                (Some(same), _) if same.dtype == dtype => same.clone(),
                (None, StateKind::RowSteps) => {
                    StateTensor { kind, dtype, bytes: t.to_le_bytes().repeat(self.rows() as usize) }
                }
                (None, StateKind::Remainder) if self.find(StateKind::Master).is_some() => {
                    let params: Vec<f32> = self.values(StateKind::Master).into_iter().map(with_nearest_even).collect();
                    StateTensor::new(kind, dtype, &params, self.row_len())
                }
                (_, StateKind::Master | StateKind::Remainder) => need.clone(),
                _ => {
                    let scaled = StateKind::ALL.into_iter().find(|scaled| scaled.scale() == Some(kind));
                    StateTensor::new(kind, dtype, &self.values(scaled.unwrap_or(kind)), self.row_len())
                }
            }
        };
        need.state.iter().map(convert).collect()
    }
}

/// The number whose upper half is the bf16 nearest to `x`, ties to even: the param of a master `x`. A remainder rounds
/// ties away from zero, so that a tie that goes to the lower neighbour is moved by one unit of the f32.
fn with_nearest_even(x: f32) -> f32 {
    if split(x).0 == to_bf16(x, None) || x.is_nan() { x } else { f32::from_bits(x.to_bits() - 1) }
}
