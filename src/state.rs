//! What an optimizer remembers between steps, as plain numbers: all that a run needs to go on exactly.

use std::collections::HashMap;

use crate::clock::{Powers, Settings};
use crate::report::GroupClock;
use crate::variant::{Memory, Rule};
use crate::{Config, Error, Format, Options};

/// The whole state of an optimizer, on the GPU or on the CPU: what one has read, the other can load.
///
/// It is plain data: look at it, or change it before it is loaded (a configuration, for example, since loading takes the
/// configurations of the state). [`to_bytes`](Self::to_bytes) and [`save`](Self::save) make a file of it.
///
/// A run that is saved, loaded and continued gives the bits that it would have given without. Parameters and gradients are
/// the caller's and not in it; neither is what the last step did, so that a [`Report`](crate::Report) has the counts at
/// once and the norm, for example, from the next step on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps applied since the start.
    pub t: u64,
    /// Steps skipped by the finite guard.
    pub skipped: u64,
    /// What the optimizer was made with. This is for the reader: loading does not change an optimizer's options.
    pub options: Options,
    /// The groups, in order.
    pub groups: Vec<GroupState>,
    /// The clocks. All tensors of a group have one, unless some were added or reset in mid-run.
    pub clocks: Vec<ClockState>,
    /// In the order of the groups and their tensors.
    pub tensors: Vec<TensorState>,
}

/// What a [`State`] has of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupState {
    /// Its configuration, with the learning rate that was set last.
    pub config: Config,
}

/// The count of steps of tensors that began together, and what was multiplied up over these steps.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockState {
    /// The group to which these tensors belong.
    pub group: usize,
    /// Steps applied to them.
    pub t: u32,
    /// Learning rate of the last of these steps.
    pub lr: f32,
    /// `beta1^t` and `beta2^t`, and of NAdam `gamma^t` and `mu(1)*..*mu(t)`, in units of 2^-64.
    pub powers: [u64; 4],
}

/// What a [`State`] has of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorState {
    /// Its name.
    pub name: String,
    /// The number of its clock, which says of which group it is.
    pub clock: usize,
    /// Elements of the tensor.
    pub len: u64,
    /// What its variant remembers, in the order of [`Memory`]; nothing for plain SGD.
    pub memories: Vec<MemoryState>,
}

/// One of the things that a variant remembers of a tensor, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryState {
    /// What it is.
    pub memory: Memory,
    /// How its elements are stored.
    pub format: Format,
    /// The elements, each with its low byte first.
    pub bytes: Vec<u8>,
}

impl ClockState {
    /// The clock of a group of that configuration after `t` steps that were not made here.
    pub fn at(group: usize, config: &Config, t: u32) -> Self {
        let powers = Powers::at(t, &Settings::new(config));
        Self::new(group, &GroupClock { powers, t, lr: 0.0 })
    }

    pub(crate) fn new(group: usize, clock: &GroupClock) -> Self {
        let Powers { power1, power2, power3, product } = clock.powers;
        Self { group, t: clock.t, lr: clock.lr, powers: [power1, power2, power3, product] }
    }

    pub(crate) fn clock(&self) -> GroupClock {
        let [power1, power2, power3, product] = self.powers;
        GroupClock { powers: Powers { power1, power2, power3, product }, t: self.t, lr: self.lr }
    }
}

impl TensorState {
    /// The first moment: the average of the gradients, without bias correction. Empty where the variant has none.
    pub fn m(&self) -> Vec<f32> {
        self.values(Memory::M)
    }

    /// The second moment: the average of their squares, without bias correction. Empty where the variant has none.
    pub fn v(&self) -> Vec<f32> {
        self.values(Memory::V)
    }

    /// AMSGrad's largest second moment so far. Empty where the variant has none.
    pub fn v_max(&self) -> Vec<f32> {
        self.values(Memory::VMax)
    }

    fn values(&self, memory: Memory) -> Vec<f32> {
        let Some(found) = self.memories.iter().find(|m| m.memory == memory) else { return Vec::new() };
        match found.format {
            Format::F32 => found.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        }
    }
}

impl MemoryState {
    pub(crate) fn f32(memory: Memory, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { memory, format: Format::F32, bytes }
    }
}

/// What an optimizer has of a tensor, for a state to be held against.
pub(crate) struct Wanted<'a> {
    pub name: &'a str,
    pub group: usize,
    pub len: u64,
    /// What is remembered of it, in which format and how many bytes.
    pub memories: Vec<(Memory, Format, u64)>,
}

impl State {
    /// Checks that the parts of the state fit together and each value makes sense, whatever the optimizer.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let bad = |reason| Err(Error::BadState { reason });
        for (i, group) in self.groups.iter().enumerate() {
            group.config.validate(i)?;
        }
        for (what, count) in [("t", self.t), ("skipped", self.skipped)] {
            if u32::try_from(count).is_err() {
                return bad(format!("{what} is {count}, but must be below 2^32"));
            }
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
        let mut names = HashMap::new();
        for tensor in &self.tensors {
            if names.insert(&tensor.name, ()).is_some() {
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

    /// Checks that this is the state of an optimizer with those rules of its groups and those tensors, and says for each of
    /// these where it is in the state.
    pub(crate) fn fits(&self, rules: &[Rule], wanted: &[Wanted]) -> Result<Vec<usize>, Error> {
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
        let places: HashMap<&str, usize> =
            self.tensors.iter().enumerate().map(|(i, tensor)| (tensor.name.as_str(), i)).collect();
        let mut order = Vec::new();
        for wanted in wanted {
            let name = || wanted.name.to_owned();
            let Some(&place) = places.get(wanted.name) else {
                return Err(Error::NotInState { tensor: name() });
            };
            let tensor = &self.tensors[place];
            let differs = |what: &'static str, given: String, need: String| {
                Err(Error::StateDiffers { tensor: name(), what, given, need })
            };
            if tensor.len != wanted.len {
                return differs("its length", tensor.len.to_string(), wanted.len.to_string());
            }
            let group = self.clocks[tensor.clock].group;
            if group != wanted.group {
                return differs("its group", group.to_string(), wanted.group.to_string());
            }
            let memories = tensor.memories.iter().map(|m| (m.memory, m.format, m.bytes.len() as u64));
            if !memories.clone().eq(wanted.memories.iter().copied()) {
                let list = |memories: &[(Memory, Format, u64)]| {
                    let each = memories.iter().map(|(m, format, bytes)| format!("{} ({format:?}, {bytes} bytes)", m.name()));
                    format!("[{}]", each.collect::<Vec<_>>().join(", "))
                };
                return differs("what it remembers", list(&memories.collect::<Vec<_>>()), list(&wanted.memories));
            }
            order.push(place);
        }
        if wanted.len() < self.tensors.len() {
            let known: std::collections::HashSet<&str> = wanted.iter().map(|w| w.name).collect();
            if let Some(stranger) = self.tensors.iter().find(|tensor| !known.contains(tensor.name.as_str())) {
                return Err(Error::OnlyInState { tensor: stranger.name.clone() });
            }
        }
        Ok(order)
    }
}
