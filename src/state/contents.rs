//! What an optimizer remembers between steps, as plain numbers: all that a run needs to go on exactly.

use std::collections::{HashMap, HashSet};

use bytemuck::{bytes_of, cast_slice};

use crate::config::dtype::Dtype;
use crate::config::hyperparameters::Config;
use crate::config::loss_scale::{LossScaleState, is_scale};
use crate::config::options::Options;
use crate::config::rule::{Rule, StateKind};
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::tick::clock::{Clock, ClockHead, NONE};
use crate::tick::powers::Powers;
use crate::tick::settings::Settings;

/// The whole state of an optimizer, on the GPU or on the CPU: what one has read, the other can load.
///
/// It is plain data: look at it, or change it before it is loaded (a configuration, for example, since loading takes the
/// configurations and schedules of the state). [`to_bytes`](Self::to_bytes) and [`save`](Self::save) make a file of it.
///
/// A run that is saved, loaded and continued gives the bits that it would have given without. Parameters and gradients are
/// the caller's and not in it; neither is what the last step did, so that a [`Report`](crate::Report) has the counts at
/// once and the norm, for example, from the next step on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// Steps applied since the start.
    pub t: u32,
    /// Steps skipped by the finite guard.
    pub skipped: u32,
    /// What the optimizer was made with. This is for the reader: loading does not change an optimizer's options.
    pub options: Options,
    /// Where the loss scale stands, if there is one. An optimizer that has one and loads a state without begins it anew; an
    /// optimizer that has none leaves that of a state alone.
    pub loss_scale: Option<LossScaleState>,
    /// The groups, in order.
    pub groups: Vec<GroupState>,
    /// The clocks. All tensors of a group have one, unless some were added or reset in mid-run.
    pub clocks: Vec<ClockState>,
    /// In the order of the groups and their tensors.
    pub tensors: Vec<TensorState>,
}

/// What a [`State`] has of a group.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GroupState {
    /// Its configuration, with the learning rate that was set last.
    pub config: Config,
    /// Its schedule. `None` leaves an optimizer that loads this the schedule that it was made with.
    pub schedule: Option<Schedule>,
}

/// The count of steps of tensors that began together, and what was multiplied up over these steps.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClockState {
    /// The group to which these tensors belong.
    pub group: usize,
    /// Steps applied to them.
    pub t: u32,
    /// Steps of the group, which its schedule counts. The same, but for tensors that were added or reset in mid-run.
    pub position: u32,
    /// Learning rate of the last of these steps.
    pub lr: f32,
    /// `beta1^t` and `beta2^t`, and of NAdam `gamma^t` and `mu(1)*..*mu(t)`, in units of 2^-64.
    pub(crate) powers: [u64; 4],
}

/// What a [`State`] has of a tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorState {
    /// Its name.
    pub name: String,
    /// The number of its clock, which says of which group it is.
    pub clock: usize,
    /// Elements of the tensor.
    pub len: u64,
    /// What its variant remembers, in the order of [`StateKind`]; nothing for plain SGD.
    pub state: Vec<StateTensor>,
}

/// One of the things that a variant remembers of a tensor, as it is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateTensor {
    /// What it is.
    pub kind: StateKind,
    /// How its elements are stored.
    pub dtype: Dtype,
    /// The elements, each with its low byte first.
    pub bytes: Vec<u8>,
}

impl ClockState {
    /// The clock of a group of that configuration after `t` steps that were not made here.
    pub fn at(group: usize, config: &Config, t: u32) -> Self {
        Self::new(group, &Clock::at(t, &Settings::new(config)))
    }

    pub(crate) fn new(group: usize, clock: &Clock) -> Self {
        let Powers { beta1_t, beta2_t, gamma_t, product } = clock.powers;
        let powers = [beta1_t, beta2_t, gamma_t, product];
        Self { group, t: clock.t, position: clock.position, lr: clock.lr, powers }
    }

    pub(crate) fn clock(&self) -> Clock {
        let [beta1_t, beta2_t, gamma_t, product] = self.powers;
        let powers = Powers { beta1_t, beta2_t, gamma_t, product };
        Clock { powers, t: self.t, lr: self.lr, position: self.position, pad: 0 }
    }
}

impl TensorState {
    /// The first moment: the average of the gradients, without bias correction. Empty where the variant has none.
    pub fn m(&self) -> Vec<f32> {
        self.values(StateKind::M)
    }

    /// The second moment: the average of their squares, without bias correction. Empty where the variant has none.
    pub fn v(&self) -> Vec<f32> {
        self.values(StateKind::V)
    }

    /// AMSGrad's largest second moment so far. Empty where the variant has none.
    pub fn v_max(&self) -> Vec<f32> {
        self.values(StateKind::VMax)
    }

    fn find(&self, kind: StateKind) -> Option<&StateTensor> {
        self.state.iter().find(|m| m.kind == kind)
    }

    /// The numbers that a memory stands for.
    pub(crate) fn values(&self, kind: StateKind) -> Vec<f32> {
        match (self.find(kind), kind.scale().and_then(|scale| self.find(scale))) {
            (Some(codes), Some(scales)) if codes.dtype == Dtype::U8 => {
                kind.code().values(&codes.bytes, scales.values().into_iter())
            }
            (numbers, _) => numbers.map_or_else(Vec::new, StateTensor::values),
        }
    }
}

impl StateTensor {
    pub(crate) fn halves(&self) -> impl Iterator<Item = u16> {
        self.bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// The elements as numbers. Codes of 8 bits are themselves: [`TensorState::m`] and the others have what they stand for.
    pub fn values(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::Bf16 => self.halves().map(|half| f32::from_bits(u32::from(half) << 16)).collect(),
            Dtype::F16 => self.halves().map(|half| half::f16::from_bits(half).to_f32()).collect(),
            Dtype::I32 => self.bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes) as f32).collect(),
            Dtype::I16 => self.halves().map(|half| f32::from(half as i16)).collect(),
            Dtype::U8 => self.bytes.iter().map(|code| f32::from(*code)).collect(),
        }
    }
}

/// What an optimizer has of a tensor, without the values.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    pub name: String,
    pub clock: usize,
    pub len: u64,
    /// What is remembered of it, in which format and in how many bytes.
    pub state: Vec<(StateKind, Dtype, u64)>,
}

impl Outline {
    /// With zeros for values.
    pub fn zeros(self) -> TensorState {
        let kind = |(kind, dtype, bytes)| StateTensor { kind, dtype, bytes: vec![0; bytes as usize] };
        let state = self.state.into_iter().map(kind).collect();
        TensorState { name: self.name, clock: self.clock, len: self.len, state }
    }
}

impl State {
    /// Checks that the parts of the state fit together and each value makes sense, whatever the optimizer.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let bad = |reason| Err(Error::InvalidState { reason });
        for (i, group) in self.groups.iter().enumerate() {
            group.config.validate(i)?;
            if let Some(schedule) = &group.schedule {
                schedule.validate(i)?;
                schedule.check_lr(i, group.config.lr)?;
            }
        }
        if let Some(LossScaleState { scale, .. }) = self.loss_scale.filter(|state| !is_scale(state.scale)) {
            return bad(format!("the loss scale is {scale}, but must be from 2^-64 to 2^64"));
        }
        for (i, clock) in self.clocks.iter().enumerate() {
            if clock.group >= self.groups.len() {
                let groups = self.groups.len();
                return bad(format!("clock {i} is of group {}, but there are {groups} groups", clock.group));
            }
            if !(clock.lr >= 0.0 && clock.lr.is_finite()) {
                return bad(format!("the last rate of clock {i} is {}, but must be finite and not negative", clock.lr));
            }
        }
        let mut names = HashSet::new();
        for tensor in &self.tensors {
            if !names.insert(&tensor.name) {
                return Err(Error::DuplicateName { tensor: tensor.name.clone() });
            }
            if tensor.clock >= self.clocks.len() {
                let (name, clock, clocks) = (&tensor.name, tensor.clock, self.clocks.len());
                return bad(format!("tensor `{name}` has clock {clock}, but there are {clocks} clocks"));
            }
        }
        Ok(())
    }

    /// The rule of a tensor that has that clock.
    pub(crate) fn rule(&self, clock: usize) -> Option<Rule> {
        let group = self.groups.get(self.clocks.get(clock)?.group)?;
        Some(group.config.variant.rule())
    }

    /// Checks that this is the state of an optimizer with groups of those rules, clocks of those groups and those tensors,
    /// and says for each of these where it is in the state. The clocks may be others.
    pub(crate) fn fits(&self, rules: &[Rule], clocks: &[usize], outlines: &[Outline]) -> Result<Vec<usize>, Error> {
        self.validate()?;
        if self.groups.len() != rules.len() {
            return Err(Error::StateGroups { given: self.groups.len(), need: rules.len() });
        }
        for (group, (state, rule)) in self.groups.iter().zip(rules).enumerate() {
            let given = state.config.variant.rule();
            if given != *rule {
                let (given, need) = (format!("{given:?}"), format!("{rule:?}"));
                return Err(Error::StateVariant { group, given, need });
            }
        }
        let mut places: HashMap<&str, usize> =
            self.tensors.iter().enumerate().map(|(i, tensor)| (tensor.name.as_str(), i)).collect();
        let mut order = Vec::new();
        for outline in outlines {
            let Some(place) = places.remove(outline.name.as_str()) else {
                return Err(Error::NotInState { tensor: outline.name.clone() });
            };
            self.tensors[place].fits(self.clocks[self.tensors[place].clock].group, outline, clocks[outline.clock])?;
            order.push(place);
        }
        match places.into_values().min() {
            Some(stranger) => Err(Error::OnlyInState { tensor: self.tensors[stranger].name.clone() }),
            None => Ok(order),
        }
    }

    /// The clock as `tick` has it.
    pub(crate) fn clock_bytes(&self) -> Vec<u8> {
        let (applied, skipped) = (self.t, self.skipped);
        let head = ClockHead { applied, skipped, nonfinite_partial: NONE, clip_coef: 1.0, ..Default::default() };
        let clocks: Vec<Clock> = self.clocks.iter().map(ClockState::clock).collect();
        [bytes_of(&head), cast_slice(&clocks)].concat()
    }
}

impl TensorState {
    fn fits(&self, group: usize, outline: &Outline, need: usize) -> Result<(), Error> {
        let differs = |what, given: String, need: String| {
            if given == need {
                return Ok(());
            }
            Err(Error::StateDiffers { tensor: self.name.clone(), what, given, need })
        };
        differs("its length", self.len.to_string(), outline.len.to_string())?;
        differs("its group", group.to_string(), need.to_string())?;
        let list = |state: &mut dyn Iterator<Item = (StateKind, Dtype, u64)>| {
            let each = state.map(|(kind, dtype, bytes)| format!("{} as {dtype:?} in {bytes} bytes", kind.name()));
            format!("[{}]", each.collect::<Vec<_>>().join(", "))
        };
        let given = list(&mut self.state.iter().map(|m| (m.kind, m.dtype, m.bytes.len() as u64)));
        differs("what is remembered of it", given, list(&mut outline.state.iter().copied()))
    }
}
