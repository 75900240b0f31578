//! `Optimizer`: made once for a module, then given the module and its gradients in each step.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamGroup, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;
use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Dtype, Group, Options};

use crate::core::{Action, Core, Named, Work};
use crate::error::{Error, Refused};
use crate::params::{Find, Put, Take};
use crate::queue::{Shared, resolve, run};

/// An optimizer of the parameters of a burn module.
///
/// It knows a parameter by its path in the module: `layers.0.weight`. State, reports and errors use this name. Burn's own
/// optimizers use the id of the parameter, which changes when a module is made anew.
pub struct Optimizer {
    shared: Arc<Shared>,
    device: Device,
    groups: Vec<ParamGroup>,
    params: HashMap<String, Known>,
}

/// What the optimizer knows of a parameter by its name.
#[derive(Clone, Copy)]
struct Known {
    number: usize,
    group: usize,
    dtype: Dtype,
}

impl Optimizer {
    /// Makes an optimizer of the parameters of `module` that require gradients.
    ///
    /// `setup` is what burn returned with its device, or what burn was given for it: see
    /// [`Device::wgpu_options`](burn::tensor::Device::wgpu_options). Each parameter belongs to the last group that matches it,
    /// as with burn's `ModuleOptimizer`. The tensors of a [`Group`] are left empty. All other fields of groups and options
    /// mean what they mean in [`wgpu_adam`].
    ///
    /// # Errors
    /// Returns [`Error::NoGroup`], [`Error::Device`] and [`Error::Dtype`] for a parameter that cannot be stepped,
    /// [`Error::Option`] for [`Options::zero_grad`], and the errors of [`Adam::new`].
    pub fn new<M: Module>(
        setup: &WgpuSetup,
        module: &M,
        groups: impl IntoIterator<Item = (ParamGroup, Group)>,
        options: Options,
    ) -> Result<Self, Error> {
        if options.zero_grad {
            return Err(Error::Option { field: "zero_grad", reason: "burn makes new gradients in each step" });
        }
        let (groups, of_adam): (Vec<ParamGroup>, Vec<Group>) = groups.into_iter().unzip();
        let mut find = Find::new();
        module.visit(&mut find);
        let found = find.found?;
        let device = found.first().ok_or(wgpu_adam::Error::NoTensors)?.device.clone();
        let (mut params, mut cubes) = (HashMap::new(), Vec::new());
        for (number, found) in found.into_iter().enumerate() {
            let group = group_of(&groups, found.id, &found.name)?;
            params.insert(found.name.clone(), Known { number, group, dtype: found.dtype });
            cubes.push((Named { name: found.name, group, dtype: found.dtype }, resolve(found.primitive)));
        }
        let shared = Arc::new(Shared::new(Core::new(setup, of_adam, options, cubes)?));
        Ok(Self { shared, device, groups, params })
    }

    /// Makes one step: each parameter of `module` that has a gradient in `grads` is stepped, and the others stay as they are.
    ///
    /// `lr` is the learning rate, or burn's learning rates of groups of parameters. The schedule of a group multiplies it. A
    /// parameter that the optimizer has not seen yet gets a state of its own.
    ///
    /// With fusion, the step is only queued when this method returns.
    ///
    /// # Errors
    /// Returns the module as it was, with the reason: [`Error::Lr`], [`Error::NoGroup`], [`Error::Device`], [`Error::Dtype`],
    /// and the errors of [`Adam::set_lr`], [`Adam::add`], [`Adam::rebind`] and [`Adam::set_active`]. With fusion, the latter
    /// come late: the queued step leaves the parameters as they are, and the next call returns the error.
    pub fn step<M: Module>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        grads: GradientsParams,
    ) -> Result<M, Refused<M>> {
        self.run(Action::Step, Some(lr.into()), module, Some(grads))
    }

    /// Changes the parameters to those for evaluation: see [`Adam::eval_mode`].
    ///
    /// # Errors
    /// Returns the module as it was, with the reason, as [`step`](Self::step) does.
    pub fn eval_mode<M: Module>(&mut self, module: M) -> Result<M, Refused<M>> {
        self.run(Action::Eval, None, module, None)
    }

    /// Changes the parameters back to those for training: see [`Adam::train_mode`].
    ///
    /// # Errors
    /// Returns the module as it was, with the reason, as [`step`](Self::step) does.
    pub fn train_mode<M: Module>(&mut self, module: M) -> Result<M, Refused<M>> {
        self.run(Action::Train, None, module, None)
    }

    fn run<M: Module>(
        &mut self,
        action: Action,
        lr: Option<ModuleLearningRate>,
        module: M,
        grads: Option<GradientsParams>,
    ) -> Result<M, Refused<M>> {
        if let Some(error) = self.shared.take_error() {
            return Err(Refused { module, error });
        }
        let mut lrs = vec![None; self.groups.len()];
        let mut new: Vec<(String, Known)> = Vec::new();
        let mut admit = |name: String, id: ParamId, dtype: Result<Dtype, Error>| {
            let known = self.params.get(&name).copied();
            if known.is_none() && action != Action::Step {
                return Ok(None);
            }
            let dtype = dtype?;
            let known = match known {
                Some(known) => known,
                None => {
                    let group = group_of(&self.groups, id, &name)?;
                    let known = Known { number: self.params.len() + new.len(), group, dtype };
                    new.push((name.clone(), known));
                    known
                }
            };
            let Known { number, group, dtype: need } = known;
            if dtype != need {
                let (given, need) = (format!("{dtype:?}").to_lowercase(), format!("{need:?}").to_lowercase());
                return Err(Error::Dtype { tensor: name, what: "param", given, need });
            }
            if let Some(lr) = &lr {
                let given = lr.lr_from_param(id, Some(&name));
                let need = *lrs[group].get_or_insert(given);
                if given.to_bits() != need.to_bits() {
                    return Err(Error::Lr { tensor: name, group, given, need });
                }
            }
            Ok(Some(number))
        };
        let mut take = Take::new(&self.device, grads, &mut admit);
        let module = module.map(&mut take);
        let Take { taken, numbers, params, grads, error, .. } = take;
        if let Some(error) = error {
            return Err(Refused { module: module.map(&mut Put::new(taken.into_iter().zip(params))), error });
        }
        if taken.is_empty() {
            return Ok(module);
        }
        let named =
            |(name, known): &(String, Known)| Named { name: name.clone(), group: known.group, dtype: known.dtype };
        let work = Work { action, numbers, new: new.iter().map(named).collect(), lrs };
        self.params.extend(new);
        let params = run(&self.shared, work, params, grads);
        let module = module.map(&mut Put::new(taken.into_iter().zip(params)));
        // Without a queue the work is done now.
        match self.shared.take_error().filter(|_| !cfg!(feature = "fusion")) {
            Some(error) => Err(Refused { module, error }),
            None => Ok(module),
        }
    }

    /// Returns the optimizer below, after the steps that this thread has queued: for reports, states, configurations,
    /// schedules and memory use.
    ///
    /// Do not add, remove or rebind tensors, and do not switch them: that is what [`step`](Self::step) does. For
    /// [`load_state`](Adam::load_state), use [`load_state`](Self::load_state) here.
    ///
    /// ```no_run
    /// # async fn report(optimizer: &wgpu_adam_burn::Optimizer) -> Result<(), wgpu_adam_burn::Error> {
    /// let report = optimizer.adam()?.read_report();
    /// println!("{:?}", report.await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::Burn`] if the device is lost, and the error of a queued step.
    pub fn adam(&self) -> Result<AdamGuard<'_>, Error> {
        Ok(AdamGuard(self.core()?))
    }

    pub(crate) fn core(&self) -> Result<MutexGuard<'_, Core>, Error> {
        self.device.flush().map_err(|error| Error::Burn { reason: error.to_string() })?;
        self.shared.take_error().map_or_else(|| Ok(self.shared.core()), Err)
    }

    /// Measures the next step on the device: see [`wgpu_adam::Probe`].
    ///
    /// # Errors
    /// As for [`adam`](Self::adam).
    pub fn measure_next(&mut self) -> Result<(), Error> {
        self.core()?.measures = true;
        Ok(())
    }

    /// Reads what the last measured step was like. `None` if no step has been measured.
    ///
    /// # Errors
    /// Returns the errors of [`adam`](Self::adam) and of [`Probe::read`](wgpu_adam::Probe::read), which needs that no parameter
    /// has moved since.
    pub async fn read_insight(&self) -> Result<Option<Insight>, Error> {
        let reading = {
            let core = self.core()?;
            core.probe.as_ref().map(|probe| probe.read(&core.adam))
        };
        match reading {
            Some(insight) => Ok(Some(insight.await?)),
            None => Ok(None),
        }
    }
}

fn group_of(groups: &[ParamGroup], id: ParamId, name: &str) -> Result<usize, Error> {
    let group = groups.iter().rposition(|group| group.matches(&id, Some(name)));
    group.ok_or_else(|| Error::NoGroup { tensor: name.to_owned() })
}

/// The optimizer below an [`Optimizer`]. Queued steps wait while it is held.
pub struct AdamGuard<'a>(MutexGuard<'a, Core>);

impl Deref for AdamGuard<'_> {
    type Target = Adam;

    fn deref(&self) -> &Adam {
        &self.0.adam
    }
}

impl DerefMut for AdamGuard<'_> {
    fn deref_mut(&mut self) -> &mut Adam {
        &mut self.0.adam
    }
}
