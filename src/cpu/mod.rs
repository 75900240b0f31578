//! The CPU twin: the same configuration, the same order of operations, the same bits.
//!
//! It serves where there is no adapter, and as the reference in tests. Its files have the names of the shaders, and each
//! function has the name, the arguments and the order of the WGSL beside which it stands. It runs on all threads of
//! rayon's pool, and the result does not depend on their number.
//!
//! ```
//! use wgpu_adam::{Config, Options, cpu};
//! let group = cpu::Group::new(Config { lr: 0.1, ..Config::default() }, vec![cpu::Tensor::new("w", 2)]);
//! let mut adam = cpu::Adam::new(&[group], Options::default())?;
//! let mut w = [1.0, -2.0];
//! for _ in 0..200 {
//!     let mut grad = w.map(|w| 2.0 * w); // of w*w
//!     adam.step(&mut [cpu::Slot::new(&mut w, &mut grad)])?;
//! }
//! assert!(w.iter().all(|w| w.abs() < 1e-2));
//! # Ok::<(), wgpu_adam::Error>(())
//! ```

mod half;
mod insight;
mod loss_scale;
mod measured;
mod members;
mod norm;
mod resume;
mod rules;
pub(crate) mod schedule;
mod slot;
mod step;
mod stored;
mod tick;
mod update;

use std::collections::HashSet;

use crate::clock::{Scalars, Settings};
use crate::kind::Kind;
use crate::launch::{Launch, NORM_PIECE, Segment};
use crate::limits::Limits;
use crate::loss_scale::LossScaleState;
use crate::phase::Phases;
use crate::plan::{self, Place, Placed};
use crate::report::{ClockHead, GroupClock, NONE};
use crate::roster::Clocks;
use crate::variant::{Memory, Rule};
use crate::{Config, Error, Format, Insight, Options, Precision, Report, StateFormat};

use stored::Floats;

pub use slot::{Slot, Values};

pub(crate) use half::nearest_bf16;
#[cfg(test)]
pub(crate) use norm::Partial;
pub(crate) use norm::bad_bits;

/// A named tensor of the twin: its values are handed over at each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// A name that no other tensor of the optimizer has.
    pub name: String,
    /// Elements.
    pub len: usize,
    /// How its params are stored.
    pub param: Format,
    /// How its gradients are stored.
    pub grad: Format,
}

impl Tensor {
    /// A tensor of that name and length, all in f32.
    pub fn new(name: impl Into<String>, len: usize) -> Self {
        Self { name: name.into(), len, param: Format::F32, grad: Format::F32 }
    }

    fn kind(&self, rule: Rule, precision: &Precision) -> Result<Kind, Error> {
        Kind::new(&self.name, rule, self.param, self.grad, self.len as u64, precision)
    }

    /// This tensor in those formats.
    #[must_use]
    pub fn stored(self, param: Format, grad: Format) -> Self {
        Self { param, grad, ..self }
    }
}

/// Tensors of the twin that share one configuration.
pub type Group = crate::Group<Tensor>;

/// What is remembered of one tensor. What its rule has not is empty.
#[derive(Clone, Debug)]
struct Moments {
    m: Vec<f32>,
    v: Vec<f32>,
    v_max: Vec<f32>,
    /// The f32 of which a 16-bit param is the rounding; of a remainder any number with these lower bits.
    master: Vec<f32>,
}

impl Moments {
    /// The numbers that are stored there, or of scales those that they scale.
    fn of(&self, memory: Memory) -> &Vec<f32> {
        match memory {
            Memory::M | Memory::MScale => &self.m,
            Memory::V | Memory::VScale => &self.v,
            Memory::VMax | Memory::VMaxScale => &self.v_max,
            Memory::Master | Memory::Remainder => &self.master,
        }
    }

    fn of_mut(&mut self, memory: Memory) -> &mut Vec<f32> {
        match memory {
            Memory::M | Memory::MScale => &mut self.m,
            Memory::V | Memory::VScale => &mut self.v,
            Memory::VMax | Memory::VMaxScale => &mut self.v_max,
            Memory::Master | Memory::Remainder => &mut self.master,
        }
    }
}

/// Adam on slices: the twin of [`crate::Adam`].
#[derive(Clone, Debug)]
pub struct Adam {
    /// With the learning rates that were set last.
    groups: Vec<Group>,
    names: Vec<String>,
    lens: Vec<usize>,
    /// The group of each clock, and the clock of each tensor.
    of: Clocks,
    moments: Vec<Moments>,
    /// How each tensor is stored, and where it is for the noise.
    formats: Vec<(Format, Format)>,
    kinds: Vec<Kind>,
    spots: Vec<Vec<stored::Spot>>,
    /// Of each clock.
    rules: Vec<Rule>,
    settings: Vec<Settings>,
    phases: Phases,
    pub(crate) clocks: Vec<GroupClock>,
    head: ClockHead,
    loss_scale: Option<LossScaleState>,
    options: Options,
    /// In which order the norm is summed.
    launches: Vec<Launch>,
}

impl Adam {
    /// The twin of an optimizer on the GPU whose tensors are all in buffers of their own.
    ///
    /// # Errors
    /// What can be wrong with a configuration, a name or a length; see [`Error`].
    pub fn new(groups: &[Group], options: Options) -> Result<Self, Error> {
        options.validate()?;
        Self::with(groups, Clocks::new(groups.iter().map(|group| group.tensors.len())), options)
    }

    fn with(groups: &[Group], clocks: Clocks, options: Options) -> Result<Self, Error> {
        let mut names = HashSet::new();
        let mut placed = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            group.validate(i)?;
            for tensor in &group.tensors {
                if !names.insert(&tensor.name) {
                    return Err(Error::DuplicateName { tensor: tensor.name.clone() });
                }
                if tensor.len == 0 {
                    return Err(Error::EmptyView { tensor: tensor.name.clone(), view: "param" });
                }
                let number = placed.len();
                let len = tensor.len as u64;
                let place = |buffer, format: Format| Place {
                    buffer,
                    offset: 0,
                    size: (len * format.bytes()).next_multiple_of(4),
                };
                let kind = tensor.kind(group.config.variant.rule(), &options.precision)?;
                placed.push(Placed {
                    tensor: number,
                    group: clocks.of_tensor[number] as u32,
                    kind,
                    grad_scale: tensor.grad.scale(),
                    param: place(2 * number, tensor.param),
                    grad: place(2 * number + 1, tensor.grad),
                    len,
                });
            }
        }
        if placed.is_empty() {
            return Err(Error::NoTensors);
        }
        let plan = plan::plan(&placed, options.zero_grad, &Limits::DEFAULT)?;
        Ok(Self::like(groups, clocks, options, &plan.launches))
    }

    /// A twin with those clocks that sums the norm in the order of these launches. All else must have been checked.
    pub(crate) fn like(groups: &[Group], clocks: Clocks, options: Options, launches: &[Launch]) -> Self {
        let tensors = || groups.iter().flat_map(|g| g.tensors.iter().map(move |t| (&g.config.variant, t)));
        let mut kinds: Vec<(usize, Kind)> =
            launches.iter().flat_map(|l| l.segments.iter().map(|s| (s.tensor, l.kind))).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kinds: Vec<Kind> = kinds.into_iter().map(|(_, kind)| kind).collect();
        let moments = tensors().zip(&kinds).map(|((variant, t), kind)| {
            let memory = |which: &[Memory], initial: f32| {
                let initial = if kind.state == StateFormat::Bf16 { nearest_bf16(initial) } else { initial };
                if kind.memories().any(|memory| which.contains(&memory)) { vec![initial; t.len] } else { Vec::new() }
            };
            Moments {
                m: memory(&[Memory::M], 0.0),
                v: memory(&[Memory::V], variant.initial()),
                v_max: memory(&[Memory::VMax], 0.0),
                master: memory(&[Memory::Master, Memory::Remainder], 0.0),
            }
        });
        let mut adam = Self {
            groups: groups.to_vec(),
            names: tensors().map(|(_, t)| t.name.clone()).collect(),
            formats: tensors().map(|(_, t)| (t.param, t.grad)).collect(),
            lens: tensors().map(|(_, t)| t.len).collect(),
            moments: moments.collect(),
            spots: stored::spots(launches, kinds.len(), options.precision.seed),
            kinds,
            rules: Vec::new(),
            settings: Vec::new(),
            phases: Phases::default(),
            clocks: vec![GroupClock::default(); clocks.groups.len()],
            of: clocks,
            head: ClockHead { bad_partial: NONE, clip_coef: 1.0, ..Default::default() },
            loss_scale: options.loss_scale.map(|scale| scale.begin()),
            options,
            launches: launches.to_vec(),
        };
        adam.settle();
        adam
    }

    /// Makes of the configurations what the clocks need.
    fn settle(&mut self) {
        let groups = self.groups.iter().map(|group| (&group.config, &group.schedule));
        (self.settings, self.phases) = Phases::of(groups, &self.of.groups);
        self.rules = self.of.groups.iter().map(|&group| self.groups[group].config.variant.rule()).collect();
    }

    /// One step, on all tensors in the order of the groups.
    ///
    /// # Errors
    /// [`Error::Slots`] or [`Error::SlotLength`]; then nothing was changed.
    pub fn step(&mut self, slots: &mut [Slot]) -> Result<Report, Error> {
        self.step_and(slots, |_, _, _| {})
    }

    /// One step, with a look at what it is about to do.
    fn step_and(
        &mut self,
        slots: &mut [Slot],
        look: impl FnOnce(&Self, &[Scalars], &[Floats]),
    ) -> Result<Report, Error> {
        self.check(slots)?;
        let loaded = slots.iter_mut().zip(&self.kinds).zip(&self.moments);
        let mut floats: Vec<Floats> =
            loaded.map(|((slot, kind), moments)| stored::load(kind, slot, &moments.master)).collect();
        let partials = if self.options.reads_norm() {
            norm::norm(&self.launches, &floats, norm::bad_bits(&self.options))
        } else {
            Vec::new()
        };
        let Self { options, settings, phases, clocks, head, loss_scale, .. } = &mut *self;
        let lists = schedule::Lists { phases: &phases.phases, values: &phases.values };
        let scalars = tick::tick(options, &partials, settings, &lists, clocks, head, loss_scale);
        look(self, &scalars, &floats);
        update::update(&self.options, &self.of.of_tensor, &self.rules, &scalars, &mut floats, &mut self.moments);
        let params: Vec<Option<Vec<f32>>> = floats.into_iter().map(|floats| floats.param.made()).collect();
        for (i, (slot, param)) in slots.iter_mut().zip(params).enumerate() {
            let s = &scalars[self.of.of_tensor[i]];
            let zeroed = self.options.zero_grad;
            stored::store(&self.kinds[i], slot, param, zeroed, &mut self.moments[i], &self.spots[i], s);
        }
        Ok(self.report())
    }

    /// One step, and what it does to each tensor: the twin of [`Probe::step`](crate::Probe::step).
    ///
    /// # Errors
    /// [`Error::Slots`] or [`Error::SlotLength`]; then nothing was changed.
    pub fn step_measured(&mut self, slots: &mut [Slot]) -> Result<(Report, Insight), Error> {
        let mut findings = Vec::new();
        let report = self.step_and(slots, |adam, scalars, slots| {
            findings = insight::insight(&adam.options, &adam.launches, scalars, &adam.clocks, slots, &adam.moments);
        })?;
        let parts = self.launches.iter().flat_map(|launch| &launch.segments).map(Segment::part);
        let configs = self.of.of_tensor.iter().map(|&clock| self.groups[self.of.groups[clock]].config);
        let configs: Vec<Config> = configs.collect();
        Ok((report, Insight::new(findings.into_iter(), parts, &self.names, &configs)))
    }

    fn check(&self, slots: &[Slot]) -> Result<(), Error> {
        if slots.len() != self.names.len() {
            return Err(Error::Slots { given: slots.len(), need: self.names.len() });
        }
        for (((slot, name), &need), formats) in slots.iter().zip(&self.names).zip(&self.lens).zip(&self.formats) {
            for (view, given, need) in
                [("param", slot.param.format(), formats.0), ("grad", slot.grad.format(), formats.1)]
            {
                if given != need {
                    let (tensor, given, need) = (name.clone(), format!("{given:?}"), format!("{need:?}"));
                    return Err(Error::SlotFormat { tensor, view, given, need });
                }
            }
            for (view, given) in [("param", slot.param.len()), ("grad", slot.grad.len())] {
                if given != need {
                    return Err(Error::SlotLength { tensor: name.clone(), view, given, need });
                }
            }
        }
        Ok(())
    }

    /// What the last step did.
    pub fn report(&self) -> Report {
        let bad = (self.head.bad_partial != NONE).then(|| self.tensor_at(self.head.bad_partial, self.head.bad_element));
        let norm = self.options.reads_norm();
        Report::new(&self.head, &self.of.groups, &self.clocks, norm, bad.flatten(), self.loss_scale())
    }

    fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        let mut first = 0;
        let launch = self.launches.iter().find(|launch| {
            first += launch.count_pieces(&launch.norm_spans(), NORM_PIECE);
            u64::from(partial) < first
        })?;
        let segment = launch.segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }

    /// Sets a group's learning rate, from the next step on; where there is a schedule, what that multiplies.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], or [`Error::Config`] where `lr` is negative or not finite; then nothing has changed.
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        let groups = self.groups.len();
        let own = self.groups.get_mut(group).ok_or(Error::NoSuchGroup { group, groups })?;
        own.schedule.check_lr(group, lr)?;
        own.config.lr = lr;
        for (settings, _) in self.settings.iter_mut().zip(&self.of.groups).filter(|(_, of)| **of == group) {
            settings.lr = lr as f32;
        }
        Ok(())
    }

    /// Sets all clocks, and the schedules, to `t` applied steps, and the count of skipped steps to 0. The moments stay as they are.
    pub fn set_t(&mut self, t: u32) {
        self.head = ClockHead { applied: t, bad_partial: NONE, clip_coef: 1.0, ..Default::default() };
        for (clock, settings) in self.clocks.iter_mut().zip(&self.settings) {
            *clock = GroupClock::at(t, settings);
        }
    }
}
