//! The optimizer on slices.

use std::collections::HashSet;
use std::fmt;

use crate::config::check::check_first;
use crate::config::dtype::Dtype;
use crate::config::hyperparameters::Config;
use crate::config::loss_scale::ScaleBytes;
use crate::config::options::{Options, check_shareable};
use crate::config::precision::StateDtype;
use crate::config::rows::{ActiveKind, Rows};
use crate::config::rule::{Rule, StateKind};
use crate::cpu::moments::{Moments, numbers};
use crate::cpu::rows::RowsGiven;
use crate::cpu::storage::Floats;
use crate::cpu::tensor::Group;
use crate::cpu::tensor_mut::{RowInputs, TensorMut};
use crate::cpu::tick::Inputs;
use crate::cpu::unit_norm::unit_norms;
use crate::cpu::{insight, norm, rescale, rows, storage, tick, update};
use crate::error::Error;
use crate::num::half::nearest_bf16;
use crate::num::noise::stream_seed;
use crate::plan::clocks::ClockMap;
use crate::plan::limits::Limits;
use crate::plan::partition;
use crate::plan::partition::{Location, TensorPlan};
use crate::plan::region::{Region, order_of_partials};
use crate::plan::rescales::Rescales;
use crate::plan::storage::Storage;
use crate::plan::units::Units;
use crate::report::insight::Insight;
use crate::report::norm_sums::NormSums;
use crate::report::step::Report;
use crate::tick::clock::{Clock, ClockHead, NONE};
use crate::tick::curves::{Curve, compile};
use crate::tick::partial::{Partial, UnitNorm, nonfinite_bits};
use crate::tick::scalars::Scalars;
use crate::tick::settings::Settings;

/// An optimizer on the CPU, the counterpart of [`crate::Adam`].
///
/// The optimizer owns the state. The caller passes parameters and gradients to each [`step`](Self::step). See the
/// [module](crate::cpu) for an example.
#[derive(Clone)]
pub struct Adam {
    /// With the learning rates that were set last.
    pub(crate) groups: Vec<Group>,
    pub(crate) names: Vec<String>,
    pub(crate) lens: Vec<usize>,
    /// The rows of each tensor of rows.
    pub(crate) rows: Vec<Option<Rows<()>>>,
    /// The group of each clock, and the clock of each tensor.
    pub(crate) of: ClockMap,
    pub(crate) moments: Vec<Moments>,
    /// How each tensor is stored, and the seed of its noise.
    pub(crate) dtypes: Vec<(Dtype, Dtype)>,
    pub(crate) grad_scales: Vec<f32>,
    pub(crate) storages: Vec<Storage>,
    pub(crate) stream_seeds: Vec<u32>,
    /// Of each clock.
    pub(crate) rules: Vec<Rule>,
    pub(crate) settings: Vec<Settings>,
    pub(crate) curves: Vec<Curve>,
    /// The units, if any group is clipped by a norm of its own or the norm is shared.
    pub(crate) units: Option<Units>,
    /// What the factors of steps are made of.
    pub(crate) rescales: Rescales,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) head: ClockHead,
    pub(crate) loss_scale: Option<ScaleBytes>,
    pub(crate) options: Options,
    /// In the order in which the norm is summed.
    pub(crate) regions: Vec<Region>,
}

/// Checks what a tensor of rows is given for a step.
fn check_rows(tensor: &TensorMut, name: &str, rows: &Rows<()>, len: usize) -> Result<(), Error> {
    let wrong = |reason| Err(Error::Rows { tensor: name.to_owned(), reason });
    let (kind, width) = (rows.kind(), rows.width as usize);
    let RowInputs { row_lr, active, inverse } = tensor.rows;
    let count = len / width;
    let words = match kind.active {
        ActiveKind::Mask => Some(count),
        ActiveKind::Bits => Some(count.div_ceil(32)),
        ActiveKind::First => Some(1),
        ActiveKind::All | ActiveKind::List => None,
    };
    let needs = [
        ("row_lr", row_lr.len(), kind.row_lr.then_some(count)),
        ("active", active.len(), words),
        ("inverse", inverse.len(), kind.compact.then_some(count)),
    ];
    for (which, given, need) in needs {
        if let Some(need) = need.filter(|need| *need != given) {
            return wrong(format!("{which} has {given} numbers, but {count} rows need {need}"));
        }
    }
    let grads = tensor.grad.len();
    if kind.compact && !grads.is_multiple_of(width) {
        return wrong(format!("there are {grads} gradients, but rows of {width} need a multiple of {width}"));
    }
    Ok(())
}

impl fmt::Debug for Adam {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut adam = f.debug_struct("Adam");
        adam.field("groups", &self.groups.len()).field("tensors", &self.names.len());
        adam.field("t", &self.head.applied).finish_non_exhaustive()
    }
}

impl Adam {
    /// Creates an optimizer. Gradient norms are summed in the order of a GPU optimizer with separately allocated
    /// tensors; [`crate::Adam::to_cpu`] uses the order of that optimizer.
    ///
    /// # Errors
    /// Returns an error for an invalid configuration, schedule or option, for a repeated name, and for an empty tensor.
    pub fn new(groups: &[Group], options: Options) -> Result<Self, Error> {
        options.validate()?;
        Self::with(groups, ClockMap::new(groups), options)
    }

    pub(crate) fn with(groups: &[Group], clocks: ClockMap, options: Options) -> Result<Self, Error> {
        let mut names = HashSet::new();
        let mut tensor_plans = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            group.validate(i)?;
            for tensor in &group.tensors {
                if !names.insert(&tensor.name) {
                    return Err(Error::DuplicateName { tensor: tensor.name.clone() });
                }
                if tensor.len == 0 {
                    return Err(Error::EmptyView { tensor: tensor.name.clone(), view: "param" });
                }
                let number = tensor_plans.len();
                let len = tensor.len as u64;
                let place = |buffer, dtype: Dtype| Location {
                    buffer,
                    offset: 0,
                    size: (len * dtype.bytes()).next_multiple_of(4),
                };
                let precision = group.precision_in(&options);
                check_first(&tensor.name, tensor.first)?;
                let storage = tensor.storage(group.config.variant.rule(), precision)?;
                tensor_plans.push(TensorPlan {
                    tensor: number,
                    clock: clocks.of_tensor[number] as u32,
                    storage,
                    grad_scale: tensor.grad_scale,
                    param: place(2 * number, tensor.param),
                    grad: place(2 * number + 1, tensor.grad),
                    len,
                    stream_seed: stream_seed(precision.seed, &tensor.name, tensor.first),
                    share: clocks.share(clocks.of_tensor[number], group.clip.is_some()),
                    rows: tensor.rows_plan(&group.config.variant)?,
                });
            }
        }
        if tensor_plans.is_empty() {
            return Err(Error::NoTensors);
        }
        let plan = partition::plan(&tensor_plans, options.zero_grad, &Limits::DEFAULT)?;
        Ok(Self::like(groups, clocks, options, &plan.regions))
    }

    /// A twin with those clocks that sums the norm in the order of these regions. All else must have been checked.
    pub(crate) fn like(groups: &[Group], clocks: ClockMap, options: Options, regions: &[Region]) -> Self {
        let tensors = || groups.iter().flat_map(|g| g.tensors.iter().map(move |t| (&g.config.variant, t)));
        let mut storages: Vec<(usize, Storage)> =
            regions.iter().flat_map(|l| l.segments.iter().map(|s| (s.tensor, l.storage))).collect();
        storages.sort_unstable();
        storages.dedup();
        let storages: Vec<Storage> = storages.into_iter().map(|(_, storage)| storage).collect();
        let seeds = |group: &Group| {
            let seed = group.precision_in(&options).seed;
            group.tensors.iter().map(move |tensor| stream_seed(seed, &tensor.name, tensor.first)).collect::<Vec<_>>()
        };
        let stream_seeds = groups.iter().flat_map(seeds).collect();
        let moments = tensors().zip(&storages).map(|((variant, t), storage)| {
            let tensor_state = |which: &[StateKind], initial: f32| {
                let is_bf16 = storage.state == StateDtype::Bf16 && !storage.rows.v;
                let initial = if is_bf16 { nearest_bf16(initial) } else { initial };
                let width = t.rows.as_ref().map(|rows| rows.width);
                let kind = storage.state_kinds().find(|kind| which.contains(kind));
                kind.map_or_else(Vec::new, |kind| {
                    numbers(kind, storage.count(kind, t.len as u64, width) as usize, initial)
                })
            };
            Moments {
                m: tensor_state(&[StateKind::M], 0.0),
                v: tensor_state(&[StateKind::V], variant.initial()),
                v_max: tensor_state(&[StateKind::VMax, StateKind::GradAvg], 0.0),
                master: tensor_state(&[StateKind::Master, StateKind::Remainder], 0.0),
                row_steps: tensor_state(&[StateKind::RowSteps], 0.0),
            }
        });
        let mut adam = Self {
            groups: groups.to_vec(),
            names: tensors().map(|(_, t)| t.name.clone()).collect(),
            dtypes: tensors().map(|(_, t)| (t.param, t.grad)).collect(),
            grad_scales: tensors().map(|(_, t)| t.grad_scale).collect(),
            lens: tensors().map(|(_, t)| t.len).collect(),
            rows: tensors().map(|(_, t)| t.rows.clone()).collect(),
            moments: moments.collect(),
            stream_seeds,
            storages,
            rules: Vec::new(),
            settings: Vec::new(),
            curves: Vec::new(),
            units: None,
            rescales: Rescales::default(),
            clocks: vec![Clock::default(); clocks.groups.len()],
            of: clocks,
            head: ClockHead::at(0, 0, 0),
            loss_scale: options.loss_scale.as_ref().map(|scale| scale.begin().into()),
            options,
            regions: order_of_partials(regions).into_iter().map(|i| regions[i].clone()).collect(),
        };
        adam.settle();
        adam
    }

    /// Derives settings, curves and rules from the groups' configurations.
    pub(crate) fn settle(&mut self) {
        let groups = self.groups.iter().map(|group| (&group.config, &group.schedule));
        (self.settings, self.curves) = compile(groups, &self.of.groups);
        self.of.switch(&mut self.settings);
        self.units = Units::new(&self.groups, &self.of, self.regions.iter(), &self.options);
        self.rescales = Rescales::new(&self.regions, self.of.groups.len());
        self.units.iter().for_each(|units| units.assign(&mut self.settings));
        self.rules = self.of.groups.iter().map(|&group| self.groups[group].config.variant.rule()).collect();
    }

    /// Gives the tensors other clocks. The regions follow, since the norm leaves out clocks that are switched off.
    pub(crate) fn set_clocks(&mut self, clocks: ClockMap) {
        for segment in self.regions.iter_mut().flat_map(|region| &mut region.segments) {
            let clock = clocks.of_tensor[segment.tensor];
            let clipped = self.groups[clocks.groups[clock]].clip.is_some();
            (segment.clock, segment.share) = (clock as u32, clocks.share(clock, clipped));
        }
        self.of = clocks;
        self.settle();
    }

    /// Takes one step.
    ///
    /// `tensors` are all tensors, in the order of [`tensor_names`](Self::tensor_names): group by group. Tensors of
    /// equal length and dtype in another order are mixed up without notice, unless they have names:
    ///
    /// ```
    /// use wgpu_adam::{Config, Options, cpu};
    /// let group = |name| cpu::Group::new(Config::default(), vec![cpu::Tensor::new(name, 1)]);
    /// let mut adam = cpu::Adam::new(&[group("a"), group("c")], Options::default())?;
    /// adam.add(0, [cpu::Tensor::new("b", 1)])?; // behind `a`, and so before `c`
    /// let ([mut a, mut b, mut c], mut g) = ([[1.0]; 3], [[0.5]; 3]);
    /// let [ga, gb, gc] = &mut g;
    /// adam.step(&mut [
    ///     cpu::TensorMut::new(&mut a, ga).with_name("a"),
    ///     cpu::TensorMut::new(&mut b, gb).with_name("b"),
    ///     cpu::TensorMut::new(&mut c, gc).with_name("c"),
    /// ])?;
    /// # Ok::<(), wgpu_adam::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::TensorCount`], [`Error::TensorName`], [`Error::TensorDtype`] or [`Error::TensorLength`].
    /// Nothing has changed then.
    pub fn step(&mut self, tensors: &mut [TensorMut]) -> Result<Report, Error> {
        self.step_and(tensors, false, None, |_, _, _, _| {})
    }

    /// Takes one step with the loss scale of another optimizer, which must have taken its step before: see
    /// [`crate::Adam::share_loss_scale`]. The scale of both is then that of the next step.
    ///
    /// # Errors
    /// Returns [`Error::NotShareable`] if the options of the two optimizers have no loss scale or different ones, and
    /// the errors of [`step`](Self::step). Nothing has changed then.
    pub fn step_with_loss_scale_of(&mut self, leader: &mut Self, tensors: &mut [TensorMut]) -> Result<Report, Error> {
        check_shareable(&self.options, &leader.options)?;
        self.check(tensors)?;
        self.loss_scale = leader.loss_scale;
        let report = self.step_and(tensors, true, None, |_, _, _, _| {})?;
        leader.loss_scale = self.loss_scale;
        Ok(report)
    }

    /// Makes a step with these sums of the norm or with its own, and calls `look` between `tick` and `update`.
    pub(crate) fn step_and(
        &mut self,
        tensors: &mut [TensorMut],
        shared: bool,
        sums: Option<&NormSums>,
        look: impl FnOnce(&Self, &[Scalars], &[Floats], &RowsGiven),
    ) -> Result<Report, Error> {
        self.check(tensors)?;
        let (mut floats, given) = self.load(tensors);
        let partials = self.partials(&floats, &given);
        let mut unit_norms = sums.map_or_else(|| self.unit_norms(&partials), |sums| sums.units.clone());
        let shared_sums = if self.shares_norm() { unit_norms.pop().map(|all| all.sums()) } else { None };
        let Self { options, settings, curves, clocks, head, loss_scale, .. } = &mut *self;
        let inputs =
            Inputs { options, partials: &partials, unit_norms: &unit_norms, settings, curves, shared_sums, shared };
        let mut scalars = tick::tick(&inputs, clocks, head, loss_scale);
        rescale::rescale(&self.rescales, &self.regions, &mut scalars, &floats, &self.moments);
        look(self, &scalars, &floats, &given);
        let mut all = std::mem::take(&mut self.moments);
        let plain: Vec<bool> = self.rows.iter().map(Option::is_none).collect();
        update::update(&self.options, &self.of.of_tensor, &plain, &self.rules, &scalars, &mut floats, &mut all);
        for (i, (floats, moments)) in floats.iter_mut().zip(&mut all).enumerate() {
            self.step_of_rows(i, &scalars, &given).iter().for_each(|rows| rows.update(floats, moments));
        }
        let params: Vec<Option<Vec<f32>>> = floats.into_iter().map(|floats| floats.param.owned()).collect();
        for (i, ((tensor, param), moments)) in tensors.iter_mut().zip(params).zip(&mut all).enumerate() {
            if let Some(rows) = self.step_of_rows(i, &scalars, &given) {
                rows.store(tensor, param, moments);
                continue;
            }
            let s = &scalars[self.of.of_tensor[i]];
            let zeroed = self.options.zero_grad && s.keep_grad == 0;
            storage::store(&self.storages[i], tensor, param, zeroed, moments, self.stream_seeds[i], s);
        }
        self.moments = all;
        Ok(self.report())
    }

    /// The values of the tensors as f32, and the rows that take part.
    pub(crate) fn load<'a, 'b>(&self, tensors: &'a mut [TensorMut<'b>]) -> (Vec<Floats<'a>>, RowsGiven<'b>) {
        let inputs: Vec<RowInputs> = tensors.iter().map(|tensor| tensor.rows).collect();
        let loaded = tensors.iter_mut().zip(&self.storages).zip(&self.moments).zip(&self.grad_scales);
        let floats: Vec<Floats> = loaded
            .map(|(((tensor, storage), moments), scale)| storage::load(storage, tensor, &moments.master, *scale))
            .collect();
        let candidates =
            (self.rows.iter().zip(&inputs).zip(&self.lens).zip(&floats)).map(|(((rows, inputs), len), floats)| {
                let of = |rows: &Rows<()>| rows::candidates(rows, inputs, len / rows.width as usize, floats.grad.len());
                rows.as_ref().map_or_else(Vec::new, of)
            });
        let candidates = candidates.collect();
        (floats, RowsGiven { candidates, inputs })
    }

    /// The partials of the norm. Empty if it is not needed.
    pub(crate) fn partials(&self, floats: &[Floats], given: &RowsGiven) -> Vec<Partial> {
        if !self.reads_norm() {
            return Vec::new();
        }
        let clips = self.units.as_ref().is_some_and(|units| units.clips);
        norm::norm(&self.regions, &self.of, floats, &given.candidates, nonfinite_bits(&self.options, clips))
    }

    /// The sums of each unit.
    pub(crate) fn unit_norms(&self, partials: &[Partial]) -> Vec<UnitNorm> {
        self.units.as_ref().map_or_else(Vec::new, |units| unit_norms(units, partials))
    }

    /// Whether the norm is shared with other optimizers.
    pub(crate) fn shares_norm(&self) -> bool {
        self.units.as_ref().is_some_and(|units| units.shared)
    }

    /// The step of a tensor of rows.
    pub(crate) fn step_of_rows<'a>(
        &'a self,
        tensor: usize,
        scalars: &'a [Scalars],
        given: &'a RowsGiven<'a>,
    ) -> Option<rows::Step<'a>> {
        let clock = self.of.of_tensor[tensor];
        Some(rows::Step {
            rows: self.rows[tensor].as_ref()?,
            rule: self.rules[clock],
            settings: &self.settings[clock],
            s: &scalars[clock],
            storage: &self.storages[tensor],
            stream_seed: self.stream_seeds[tensor],
            candidates: &given.candidates[tensor],
            inputs: given.inputs[tensor],
            zero_grad: self.options.zero_grad,
        })
    }

    /// Takes one step and measures it, as [`Probe::step`](crate::Probe::step) does on the GPU.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn step_measured(&mut self, tensors: &mut [TensorMut]) -> Result<(Report, Insight), Error> {
        let mut findings = Vec::new();
        let report = self.step_and(tensors, false, None, |adam, scalars, tensors, given| {
            let rows = |tensor| adam.step_of_rows(tensor, scalars, given);
            findings = insight::insight(&adam.regions, scalars, &adam.clocks, tensors, &adam.moments, rows);
        })?;
        let parts = self.regions.iter().flat_map(|region| &region.segments).map(|segment| segment.tensor);
        let configs = self.of.of_tensor.iter().map(|&clock| self.groups[self.of.groups[clock]].config.clone());
        let configs: Vec<Config> = configs.collect();
        Ok((report, Insight::new(findings.into_iter(), parts, &self.names, &configs)))
    }

    pub(crate) fn check(&self, tensors: &[TensorMut]) -> Result<(), Error> {
        if tensors.len() != self.names.len() {
            return Err(Error::TensorCount { given: tensors.len(), need: self.names.len() });
        }
        for (place, (tensor, need)) in tensors.iter().zip(&self.names).enumerate() {
            if let Some(given) = tensor.name.filter(|given| given != need) {
                return Err(Error::TensorName { place, given: given.to_owned(), need: need.clone() });
            }
        }
        let all = tensors.iter().zip(&self.names).zip(&self.lens).zip(&self.dtypes).zip(&self.rows);
        for ((((tensor, name), &need), dtypes), rows) in all {
            for (view, given, need) in
                [("param", tensor.param.dtype(), dtypes.0), ("grad", tensor.grad.dtype(), dtypes.1)]
            {
                if given != need {
                    let (tensor, given, need) = (name.clone(), format!("{given:?}"), format!("{need:?}"));
                    return Err(Error::TensorDtype { tensor, view, given, need });
                }
            }
            if let Some(rows) = rows {
                check_rows(tensor, name, rows, need)?;
            }
            let compact = rows.as_ref().is_some_and(|rows| rows.kind().compact);
            for (view, given) in [("param", tensor.param.len()), ("grad", tensor.grad.len())] {
                if given != need && !(compact && view == "grad") {
                    return Err(Error::TensorLength { tensor: name.clone(), view, given, need });
                }
            }
        }
        Ok(())
    }

    /// Returns the number of applied steps.
    pub fn t(&self) -> u32 {
        self.head.applied
    }

    /// Returns the groups: their current configurations, schedules and tensors.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the options of the optimizer.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the names of all tensors, in the order of the groups and their tensors.
    pub fn tensor_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the report of the last step.
    pub fn report(&self) -> Report {
        let bad = (self.head.nonfinite_partial != NONE)
            .then(|| self.tensor_at(self.head.nonfinite_partial, self.head.nonfinite_element));
        let norm = self.reads_norm();
        Report::new(&self.head, &self.of.groups, &self.clocks, norm, bad.flatten(), self.loss_scale())
    }

    pub(crate) fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        let mut first = 0;
        let region = self.regions.iter().find(|region| {
            first += region.partials();
            u64::from(partial) < first
        })?;
        let segment = region.segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }

    /// Whether a step begins with a pass over all gradients.
    fn reads_norm(&self) -> bool {
        self.options.reads_norm() || self.units.is_some()
    }

    /// Returns the loss scale of the next step. `None` without a [`LossScale`](crate::LossScale).
    pub fn loss_scale(&self) -> Option<f32> {
        self.loss_scale.map(|state| state.scale)
    }
}
