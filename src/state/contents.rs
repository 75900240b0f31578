//! The state of an optimizer as plain data: everything that a run needs to go on exactly.

use std::collections::{HashMap, HashSet};

use bytemuck::{bytes_of, cast_slice};

use crate::config::dtype::Dtype;
use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::config::loss_scale::{LossScaleState, is_scale};
use crate::config::options::Options;
use crate::config::precision::Precision;
use crate::config::rule::{Rule, StateKind};
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::num::block8::BLOCK;
use crate::num::half::{split, to_bf16};
use crate::tick::clock::{Clock, ClockHead};
use crate::tick::powers::Powers;
use crate::tick::settings::Settings;

/// The state of an optimizer. The GPU and the CPU optimizer read and load the same states.
///
/// A state is plain data. It can be inspected, edited before it is loaded, and saved to a file with
/// [`save`](Self::save) or to bytes with [`to_bytes`](Self::to_bytes). Loading takes over its configurations and
/// schedules. To build a state from other data, read the state of a new optimizer and edit it. To load a state into an
/// optimizer with other tensors, groups or storage formats, use [`fitted`](Self::fitted).
///
/// A run that is saved, loaded and continued is bit-identical to an uninterrupted run. Parameters and gradients belong
/// to the caller and are not part of the state. The outcome of the last step is not part of it either: after loading, a
/// [`Report`](crate::Report) has the counts, and the norm from the next step on.
///
/// ```
/// use wgpu_adam::{Config, Options, State, cpu};
/// let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 2)]);
/// let mut adam = cpu::Adam::new(&[group], Options::default())?;
/// let (mut w, mut grad) = ([1.0, -2.0], [0.5, 0.25]);
/// adam.step(&mut [cpu::TensorMut::new(&mut w, &mut grad)])?;
/// let bytes = adam.state().to_bytes()?;
///
/// let mut state = State::from_bytes(&bytes)?;
/// assert_eq!((state.t, state.tensors[0].m()), (1, vec![0.05, 0.025]));
/// state.groups[0].config.lr = 1e-4;
/// adam.load_state(&state)?;
/// # Ok::<(), wgpu_adam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// The number of applied steps.
    pub t: u32,
    /// The number of skipped steps.
    pub skipped: u32,
    /// The number of steps skipped since the last applied one.
    pub skipped_in_a_row: u32,
    /// The number of gradients that were accumulated since the last step: see
    /// [`Options::accumulate`](crate::Options::accumulate).
    pub accumulated: u32,
    /// Whether the parameters that belong to the state are those for evaluation: see
    /// [`Adam::eval_mode`](crate::Adam::eval_mode).
    pub evaluating: bool,
    /// The options of the optimizer, for information. Loading does not change an optimizer's options.
    pub options: Options,
    /// The state of the loss scale. `None` without a [`LossScale`](crate::LossScale).
    ///
    /// An optimizer with a loss scale restarts it if the state has none. An optimizer without one ignores it.
    pub loss_scale: Option<LossScaleState>,
    /// The groups, in order.
    pub groups: Vec<GroupState>,
    /// The clocks. A group has at least one clock, and one more for each time at which tensors were added, reset or
    /// switched. With [`GroupClip::Tensor`](crate::GroupClip::Tensor), each tensor has its own.
    pub clocks: Vec<ClockState>,
    /// The tensors, in the order of the groups and their tensors.
    pub tensors: Vec<TensorState>,
}

/// A group in a [`State`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GroupState {
    /// The configuration, with the current learning rate.
    pub config: Config,
    /// The schedule. With `None`, an optimizer that loads the state keeps its own schedule.
    pub schedule: Option<Schedule>,
    /// The group's own precision, for information, as [`State::options`].
    pub precision: Option<Precision>,
}

impl GroupState {
    pub(crate) fn of<T>(group: &Group<T>) -> Self {
        let Group { config, schedule, precision, .. } = group;
        Self { config: config.clone(), schedule: Some(schedule.clone()), precision: precision.clone() }
    }
}

/// The step count of tensors that started together, and the powers of beta that belong to it.
///
/// The powers are exact and private. [`ClockState::at`] computes them for a step count.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClockState {
    /// The group of the tensors, counted from 0.
    pub group: usize,
    /// The number of steps applied to the tensors.
    pub t: u32,
    /// The number of steps of the group, which the schedule counts. All clocks of a group have the same position. It
    /// differs from `t` for tensors that were added or reset.
    pub position: u32,
    /// The learning rate of the last applied step.
    pub lr: f32,
    /// Whether the tensors take part in the steps, if [`set_active`](crate::Adam::set_active) has ever been called for
    /// them. Without a value they do.
    pub active: Option<bool>,
    /// The running products of `beta1`, `beta2`, and of NAdam's `gamma` and `mu`, in units of 2^-64; for Schedule-Free, in
    /// place of the last two, the sum of its weights and the bits of its largest learning rate.
    pub(crate) powers: [u64; 4],
    /// What multiplied `z - y` when the parameters became those for evaluation, or 0.
    pub(crate) to_average: f32,
}

/// A tensor in a [`State`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorState {
    /// The name.
    pub name: String,
    /// The index of the clock in [`State::clocks`]. The clock determines the group. If the tensor was read alone, the
    /// index refers to the clocks of the whole state at that time.
    pub clock: usize,
    /// The number of elements.
    pub len: u64,
    /// The elements of a row, if it is a tensor of [rows](crate::rows).
    pub width: Option<u32>,
    /// The state tensors that the rule uses, in the order of [`StateKind`]. Empty for SGD without momentum.
    pub state: Vec<StateTensor>,
}

/// A state tensor as it is stored: the moments of a tensor, for example.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateTensor {
    /// The kind.
    pub kind: StateKind,
    /// The storage format of the elements.
    pub dtype: Dtype,
    /// The elements in little-endian byte order.
    pub bytes: Vec<u8>,
}

impl ClockState {
    /// Creates the clock of a group after `t` steps with the betas of `config`, at position `t` of the schedule.
    ///
    /// For a second clock of a group, set `position` to that of the first one.
    pub fn at(group: usize, config: &Config, t: u32) -> Self {
        Self::new(group, &Clock::at(t, &Settings::new(config)), None)
    }

    pub(crate) fn new(group: usize, clock: &Clock, active: Option<bool>) -> Self {
        let Powers { beta1_t, beta2_t, gamma_t, product } = clock.powers;
        let powers = [beta1_t, beta2_t, gamma_t, product];
        let Clock { t, position, lr, to_average, .. } = *clock;
        Self { group, t, position, lr, active, powers, to_average }
    }

    pub(crate) fn clock(&self) -> Clock {
        let [beta1_t, beta2_t, gamma_t, product] = self.powers;
        let powers = Powers { beta1_t, beta2_t, gamma_t, product };
        Clock { powers, t: self.t, lr: self.lr, position: self.position, to_average: self.to_average }
    }
}

impl StateKind {
    /// Whether a state tensor of this kind may have that dtype.
    fn allows(self, dtype: Dtype) -> bool {
        match self {
            Self::M | Self::V | Self::VMax | Self::GradAvg => matches!(dtype, Dtype::F32 | Dtype::Bf16 | Dtype::U8),
            Self::Master => dtype == Dtype::F32,
            Self::RowSteps => dtype == Dtype::U32,
            scale if scale.is_scale() => dtype == Dtype::F32,
            _ => dtype == Dtype::I16,
        }
    }
}

impl TensorState {
    /// Returns the first moment, without bias correction. Empty if the rule does not use it.
    pub fn m(&self) -> Vec<f32> {
        self.values(StateKind::M)
    }

    /// Returns the second moment, without bias correction. For centered RMSProp, this is the variance of the gradient.
    /// Empty if the rule does not use it.
    pub fn v(&self) -> Vec<f32> {
        self.values(StateKind::V)
    }

    /// Returns the maximum of all second moments so far. Empty unless the rule is AMSGrad.
    pub fn v_max(&self) -> Vec<f32> {
        self.values(StateKind::VMax)
    }

    /// Returns the average of the gradient. Empty unless the rule is centered RMSProp.
    pub fn grad_avg(&self) -> Vec<f32> {
        self.values(StateKind::GradAvg)
    }

    /// Returns the step count of each row. Empty unless the rows count [their own](crate::rows::RowSteps::PerRow).
    pub fn row_steps(&self) -> Vec<u32> {
        let steps = self.find(StateKind::RowSteps).into_iter().flat_map(|steps| steps.bytes.as_chunks().0);
        steps.map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }

    /// The elements that are divided into 8-bit blocks: those of a row, or all.
    pub(crate) fn row_len(&self) -> usize {
        self.width.map_or(self.len as usize, |width| width as usize).max(1)
    }

    /// The number of rows. 1 if it is no tensor of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.width.map_or(1, |width| self.len / u64::from(width.max(1)))
    }

    /// The number of elements that a state tensor must have.
    fn count(&self, state: &StateTensor) -> u64 {
        let per_row = state.bytes.len() as u64 == self.rows() * Dtype::F32.bytes() && state.dtype == Dtype::F32;
        match state.kind {
            StateKind::RowSteps => self.rows(),
            StateKind::V if self.width.is_some() && per_row => self.rows(),
            kind if kind.is_scale() => self.rows() * (self.row_len() as u64).div_ceil(BLOCK),
            _ => self.len,
        }
    }

    pub(crate) fn find(&self, kind: StateKind) -> Option<&StateTensor> {
        self.state.iter().find(|m| m.kind == kind)
    }

    /// The decoded values of a state tensor.
    pub(crate) fn values(&self, kind: StateKind) -> Vec<f32> {
        match (self.find(kind), kind.scale().and_then(|scale| self.find(scale))) {
            (Some(codes), Some(scales)) if codes.dtype == Dtype::U8 => {
                kind.code().values(&codes.bytes, scales.values().into_iter(), self.row_len())
            }
            (numbers, _) => numbers.map_or_else(Vec::new, StateTensor::values),
        }
    }
}

impl StateTensor {
    /// Stores numbers, rounded to nearest. Scales are made of the numbers that they scale, and a remainder of the exact
    /// params. 8-bit blocks do not cross the ends of rows of `row` elements.
    pub(crate) fn new(kind: StateKind, dtype: Dtype, values: &[f32], row: usize) -> Self {
        let bytes = match (kind, dtype) {
            (StateKind::Remainder, _) => values.iter().flat_map(|x| split(*x).1.to_le_bytes()).collect(),
            (kind, _) if kind.is_scale() => kind.code().scales(values, row).flat_map(f32::to_le_bytes).collect(),
            (_, Dtype::U8) => kind.code().codes(values, row),
            (_, Dtype::Bf16) => values.iter().flat_map(|x| to_bf16(*x, None).to_le_bytes()).collect(),
            _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        Self { kind, dtype, bytes }
    }

    pub(crate) fn halves(&self) -> impl Iterator<Item = u16> {
        self.bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// Returns the elements as numbers. 8-bit codes are returned as they are; [`TensorState::m`], `v`, `v_max` and
    /// `grad_avg` decode them.
    pub fn values(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::Bf16 => self.halves().map(|half| f32::from_bits(u32::from(half) << 16)).collect(),
            Dtype::F16 => self.halves().map(|half| half::f16::from_bits(half).to_f32()).collect(),
            Dtype::I32 => self.bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes) as f32).collect(),
            Dtype::U32 => self.bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as f32).collect(),
            Dtype::I16 => self.halves().map(|half| f32::from(half as i16)).collect(),
            Dtype::U8 => self.bytes.iter().map(|code| f32::from(*code)).collect(),
        }
    }
}

/// The width of the rows of a tensor.
pub(crate) fn in_words(width: Option<u32>) -> String {
    width.map_or_else(|| "none".to_owned(), |width| width.to_string())
}

/// What an optimizer has of a tensor, without the values.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    pub name: String,
    pub clock: usize,
    pub len: u64,
    pub width: Option<u32>,
    /// Its state tensors, each with dtype and size in bytes.
    pub state: Vec<(StateKind, Dtype, u64)>,
}

impl Outline {
    /// With zeros for values.
    pub fn zeros(self) -> TensorState {
        let kind = |(kind, dtype, bytes)| StateTensor { kind, dtype, bytes: vec![0; bytes as usize] };
        let state = self.state.into_iter().map(kind).collect();
        TensorState { name: self.name, clock: self.clock, len: self.len, width: self.width, state }
    }
}

impl State {
    /// Checks that the parts of the state fit together and each value is valid for any optimizer.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let bad = |reason| Err(Error::InvalidState { reason });
        self.options.validate()?;
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
        // The first clock of each group, and its position.
        let mut positions = vec![None; self.groups.len()];
        for (i, clock) in self.clocks.iter().enumerate() {
            let (group, given) = (clock.group, clock.position);
            let Some(of_group) = positions.get_mut(group) else {
                let groups = self.groups.len();
                return bad(format!("clock {i} refers to group {group}, but there are {groups} groups"));
            };
            let (first, position) = *of_group.get_or_insert((i, given));
            if position != given {
                return bad(format!(
                    "group {group}: clock {first} has position {position} and clock {i} has {given}, but must have the same"
                ));
            }
            if !(clock.lr >= 0.0 && clock.lr.is_finite()) {
                return bad(format!(
                    "the learning rate of clock {i} is {}, but must be finite and not negative",
                    clock.lr
                ));
            }
        }
        if let Some(i) = self.clocks.iter().position(|clock| !clock.to_average.is_finite()) {
            return bad(format!("clock {i}: to_average is {}, but must be finite", self.clocks[i].to_average));
        }
        if let Some(i) = self.clocks.iter().position(|clock| clock.to_average != 0.0 && !self.evaluating) {
            return bad(format!("clock {i} has to_average, but the state is not evaluating"));
        }
        if let Some(group) = positions.iter().position(Option::is_none) {
            return bad(format!("group {group} has no clock, but must have at least one"));
        }
        let mut names = HashSet::new();
        for tensor in &self.tensors {
            if !names.insert(&tensor.name) {
                return Err(Error::DuplicateName { tensor: tensor.name.clone() });
            }
            if tensor.clock >= self.clocks.len() {
                let (name, clock, clocks) = (&tensor.name, tensor.clock, self.clocks.len());
                return bad(format!("tensor `{name}` refers to clock {clock}, but there are {clocks} clocks"));
            }
            let wrong = |reason| Error::InvalidState { reason: format!("tensor `{}`: {reason}", tensor.name) };
            tensor.validate(self.rule(tensor.clock)).map_err(wrong)?;
        }
        Ok(())
    }

    /// The rule of a tensor that has that clock.
    pub(crate) fn rule(&self, clock: usize) -> Rule {
        self.groups[self.clocks[clock].group].config.variant.rule()
    }

    /// Checks that this is the state of an optimizer with groups of those rules, clocks of those groups and those
    /// tensors, and says for each of these where it is in the state. The clocks may be others.
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

    /// The head of the clock as `tick` has it.
    pub(crate) fn clock_head(&self) -> ClockHead {
        let head = ClockHead::at(self.t, self.skipped, self.skipped_in_a_row);
        ClockHead { evaluating: self.evaluating.into(), accumulated: self.accumulated, ..head }
    }

    /// The clock as `tick` has it. `copies` gives the place of each clock in the state.
    pub(crate) fn clock_bytes(&self, copies: &[usize]) -> Vec<u8> {
        let head = self.clock_head();
        let clocks: Vec<Clock> = copies.iter().map(|&clock| self.clocks[clock].clock()).collect();
        [bytes_of(&head), cast_slice(&clocks)].concat()
    }
}

impl TensorState {
    /// Checks that it has the state of its rule: each kind once, with a fitting dtype and size.
    fn validate(&self, rule: Rule) -> Result<(), String> {
        let mut kinds: Vec<StateKind> = rule.state_kinds().collect();
        let in_blocks = |kind: &StateKind| self.find(*kind).is_some_and(|state| state.dtype == Dtype::U8);
        kinds.extend(rule.state_kinds().filter(in_blocks).filter_map(StateKind::scale));
        if let Some(missing) = kinds.iter().find(|kind| self.find(**kind).is_none()) {
            return Err(format!("{} is missing", missing.name()));
        }
        kinds.extend([StateKind::Master, StateKind::Remainder]);
        kinds.extend(self.width.map(|_| StateKind::RowSteps));
        if let Some(width) = self.width.filter(|width| *width == 0 || !self.len.is_multiple_of((*width).into())) {
            return Err(format!("{} elements are no rows of {width}", self.len));
        }
        for (i, state) in self.state.iter().enumerate() {
            let StateTensor { kind, dtype, bytes } = state;
            let name = kind.name();
            if self.state[..i].iter().any(|other| other.kind == *kind) {
                return Err(format!("{name} occurs twice"));
            }
            if !kinds.contains(kind) {
                return Err(format!("{name} belongs neither to the rule {rule:?} nor to 8-bit moments of it"));
            }
            if !kind.allows(*dtype) {
                return Err(format!("{name} is {dtype:?}, which it cannot be"));
            }
            let (given, need) = (bytes.len() as u64, self.count(state).saturating_mul(dtype.bytes()));
            if given != need {
                let len = self.len;
                return Err(format!("{name} as {dtype:?} has {given} bytes, but {len} elements need {need}"));
            }
        }
        Ok(())
    }

    fn fits(&self, group: usize, outline: &Outline, need: usize) -> Result<(), Error> {
        let differs = |what, given: String, need: String| {
            if given == need {
                return Ok(());
            }
            Err(Error::StateDiffers { tensor: self.name.clone(), what, given, need })
        };
        differs("its length", self.len.to_string(), outline.len.to_string())?;
        differs("the width of its rows", in_words(self.width), in_words(outline.width))?;
        differs("its group", group.to_string(), need.to_string())?;
        let list = |state: &mut dyn Iterator<Item = (StateKind, Dtype, u64)>| {
            let each = state.map(|(kind, dtype, bytes)| format!("{} as {dtype:?} in {bytes} bytes", kind.name()));
            format!("[{}]", each.collect::<Vec<_>>().join(", "))
        };
        let given = list(&mut self.state.iter().map(|m| (m.kind, m.dtype, m.bytes.len() as u64)));
        differs("its list of state tensors", given, list(&mut outline.state.iter().copied()))
    }
}
