//! The step on burn's tensors as they lie on the device.

use std::collections::HashMap;
use std::time::Instant;

use burn::backend::wgpu::CubeTensor;
use burn::cubecl::MemoryScope;
use burn::tensor::wgpu::WgpuSetup;
use wgpu_adam::wgpu::{Device, Queue};
use wgpu_adam::{Adam, Dtype, Group, Options, Probe, State, Tensor, View};

use crate::error::Error;
use crate::place::{Place, copied, laid_out, locate, order_of};

/// What the queue is to do when it comes to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Step,
    /// The change to the parameters for evaluation: see [`Adam::eval_mode`].
    Eval,
    /// The change back.
    Train,
}

/// An action, and the parameters that take part in it.
#[derive(Debug)]
pub struct Work {
    pub action: Action,
    /// The numbers of the parameters.
    pub numbers: Vec<usize>,
    /// The parameters that have no number yet. They get the next ones.
    pub new: Vec<Named>,
    /// The learning rate of each group. `None`: it stays.
    pub lrs: Vec<Option<f64>>,
}

/// A parameter before it has been seen on the device.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub group: usize,
    pub dtype: Dtype,
}

/// A parameter of the module.
struct Slot {
    named: Named,
    /// The order of its dims in memory when it was first seen. Its moments lie in this order.
    order: Vec<usize>,
    /// Where `adam` has it. Nobody else gets this memory, not even if the parameter has moved while it took part in no step.
    /// `None`: `adam` does not have it yet.
    place: Option<Place>,
    active: bool,
}

impl Slot {
    fn new(named: Named, cube: &CubeTensor) -> Self {
        let order = order_of(cube).unwrap_or_else(|| (0..cube.meta.shape().num_dims()).collect());
        Self { named, order, place: None, active: true }
    }

    fn tensor(&self, place: &Place) -> Tensor {
        Tensor::each_step(&self.named.name, place.view.clone())
    }

    fn locate(&self, cube: &CubeTensor) -> Result<Place, Error> {
        locate(&self.named.name, cube, self.named.dtype)
    }
}

/// Milliseconds, if somebody wants to know. Browsers have no such clock.
struct Stopwatch(Option<Instant>);

impl Stopwatch {
    fn start() -> Self {
        Self(log::log_enabled!(log::Level::Trace).then(Instant::now))
    }

    fn lap(&mut self) -> Option<f64> {
        self.0.as_mut().map(|last| {
            let elapsed = last.elapsed();
            *last += elapsed;
            elapsed.as_secs_f64() * 1e3
        })
    }
}

/// The optimizer and the parameters that it knows.
pub struct Core {
    pub adam: Adam,
    /// Made for the last step that was measured.
    pub probe: Option<Probe>,
    /// Whether the next step is measured.
    pub measures: bool,
    device: Device,
    queue: Queue,
    slots: Vec<Slot>,
    /// The slots in the order of the tensors of `adam`.
    in_adam: Vec<usize>,
}

impl Core {
    pub fn new(
        setup: &WgpuSetup,
        mut groups: Vec<Group>,
        options: Options,
        params: Vec<(Named, CubeTensor)>,
    ) -> Result<Self, Error> {
        let (device, queue) = (setup.device.clone(), setup.queue.clone());
        let mut slots = Vec::new();
        for (named, cube) in params {
            let mut slot = Slot::new(named, &cube);
            let place = slot.locate(&laid_out(cube, &slot.order))?;
            // One of two parameters that share their memory gets its own, and is added, when it is stepped.
            if slots.iter().all(|other: &Slot| other.place.as_ref().is_none_or(|other| other.view != place.view)) {
                groups[slot.named.group].tensors.push(slot.tensor(&place));
                slot.place = Some(place);
            }
            slots.push(slot);
        }
        let adam = Adam::new(&device, &queue, &groups, options)?;
        let mut core = Self { adam, probe: None, measures: false, device, queue, slots, in_adam: Vec::new() };
        core.sort();
        Ok(core)
    }

    fn sort(&mut self) {
        let slots = self.slots.iter().enumerate();
        let numbers: HashMap<&str, usize> = slots.map(|(number, slot)| (slot.named.name.as_str(), number)).collect();
        self.in_adam = self.adam.tensor_names().map(|name| numbers[name]).collect();
    }

    /// Does the work while nobody else uses the device, so that nothing comes between finding the tensors and submitting.
    ///
    /// Returns the parameters. They are other tensors than those given where somebody else holds these too, and the same if
    /// the work was refused.
    pub fn run(
        &mut self,
        work: &Work,
        params: Vec<CubeTensor>,
        grads: Vec<CubeTensor>,
    ) -> (Vec<CubeTensor>, Result<(), Error>) {
        let known = self.slots.len();
        for (number, named) in (known..).zip(&work.new) {
            let cube = work.numbers.iter().position(|&n| n == number).map(|place| &params[place]);
            self.slots.extend(cube.map(|cube| Slot::new(named.clone(), cube)));
        }
        let Some(client) = params.first().map(|param| param.client.clone()) else { return (params, Ok(())) };
        match client.exclusive(|| self.submit(work, &params, grads)) {
            Ok(Ok(next)) => (next, Ok(())),
            Ok(Err(error)) => (params, Err(error)),
            Err(error) => (params, Err(Error::Burn { reason: format!("{error:?}") })),
        }
    }

    fn submit(&mut self, work: &Work, params: &[CubeTensor], grads: Vec<CubeTensor>) -> Result<Vec<CubeTensor>, Error> {
        let mut clock = Stopwatch::start();
        let slots: Vec<&Slot> = work.numbers.iter().map(|&number| &self.slots[number]).collect();
        let mut next = Vec::new();
        let mut copies = 0;
        for (slot, param) in slots.iter().zip(params) {
            if param.can_mut() && order_of(param).as_ref() == Some(&slot.order) {
                next.push(param.clone());
            } else {
                copies += 1;
                next.push(copied(param.clone(), &slot.order));
            }
        }
        let grads: Vec<CubeTensor> = slots.iter().zip(grads).map(|(slot, grad)| laid_out(grad, &slot.order)).collect();

        // Operations that any thread has queued read the parameters as they are now. burn counts only those who may queue more,
        // and has no call that submits the work of all threads: a report of their memory does it on the way.
        if let Some(param) = params.first() {
            param.client.memory_report(MemoryScope::Device);
        }
        let to: Vec<Place> = slots.iter().zip(&next).map(|(slot, cube)| slot.locate(cube)).collect::<Result<_, _>>()?;
        let grads: Vec<Place> =
            slots.iter().zip(&grads).map(|(slot, grad)| slot.locate(grad)).collect::<Result<_, _>>()?;

        let found = clock.lap();
        self.bind(&work.numbers, to)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        match work.action {
            Action::Step => {
                self.set_lrs(&work.lrs)?;
                self.set_active(&work.numbers)?;
                let mut of_slots = vec![None; self.slots.len()];
                work.numbers.iter().zip(&grads).for_each(|(&number, grad)| of_slots[number] = Some(grad.view.clone()));
                let in_order: Vec<Option<View>> = self.in_adam.iter().map(|&number| of_slots[number].take()).collect();
                let set = self.adam.set_grads(&mut encoder, &in_order)?;
                log::trace!("{} bind groups made, {} gradients copied", set.bind_groups, set.copied);
                if std::mem::take(&mut self.measures) {
                    self.probe.insert(Probe::new(&self.adam)?).step(&self.adam, &mut encoder)?;
                } else {
                    self.adam.step(&mut encoder);
                }
            }
            Action::Eval => self.adam.eval_mode(&mut encoder),
            Action::Train => self.adam.train_mode(&mut encoder),
        }
        let recorded = clock.lap();
        self.queue.submit([encoder.finish()]);
        if let (Some(found), Some(recorded), Some(submitted)) = (found, recorded, clock.lap()) {
            log::trace!(
                "{:?} of {} parameters, {copies} of them copied: found in {found:.2} ms, bound and recorded in {recorded:.2} ms, \
                 submitted in {submitted:.2} ms",
                work.action,
                next.len(),
            );
        }
        Ok(next)
    }

    /// Tells the optimizer where parameters are that are new, or elsewhere than before.
    fn bind(&mut self, numbers: &[usize], places: Vec<Place>) -> Result<(), Error> {
        let (mut moved, mut known) = (Vec::new(), Vec::new());
        let mut new: Vec<(Vec<Tensor>, Vec<_>)> = self.adam.groups().iter().map(|_| Default::default()).collect();
        for (&number, place) in numbers.iter().zip(places) {
            let slot = &self.slots[number];
            if let Some(before) = &slot.place {
                if before.view != place.view {
                    moved.push(slot.tensor(&place));
                }
                known.push((number, place));
            } else {
                let (tensors, places) = &mut new[slot.named.group];
                tensors.push(slot.tensor(&place));
                places.push((number, place));
            }
        }
        // What `adam` has taken over is noted at once: it keeps the memory, even if a later change fails.
        let note = |slots: &mut Vec<Slot>, places: Vec<(usize, Place)>| {
            places.into_iter().for_each(|(number, place)| slots[number].place = Some(place));
        };
        if !moved.is_empty() {
            log::debug!("{} parameters have moved", moved.len());
            self.adam.rebind_all(moved)?;
        }
        note(&mut self.slots, known);
        for (group, (tensors, places)) in new.into_iter().enumerate().filter(|(_, (tensors, _))| !tensors.is_empty()) {
            self.adam.add(group, tensors)?;
            note(&mut self.slots, places);
            self.sort();
        }
        Ok(())
    }

    pub async fn load(&mut self, state: &State) -> Result<(), Error> {
        self.adam.load_state(state).await?;
        let clocks = state.tensors.iter().map(|tensor| (tensor.name.as_str(), &state.clocks[tensor.clock]));
        let active: HashMap<&str, bool> = clocks.map(|(name, clock)| (name, clock.active.unwrap_or(true))).collect();
        self.slots.iter_mut().for_each(|slot| slot.active = active.get(&*slot.named.name).copied().unwrap_or(true));
        Ok(())
    }

    fn set_lrs(&mut self, lrs: &[Option<f64>]) -> Result<(), Error> {
        for (group, lr) in lrs.iter().enumerate() {
            if let Some(lr) = lr.filter(|lr| *lr != self.adam.groups()[group].config.lr) {
                self.adam.set_lr(group, lr)?;
            }
        }
        Ok(())
    }

    /// The parameters with gradients take part in the step, and no others.
    fn set_active(&mut self, numbers: &[usize]) -> Result<(), Error> {
        let mut active = vec![false; self.slots.len()];
        numbers.iter().for_each(|&number| active[number] = true);
        for value in [false, true] {
            let switched = |slot: &Slot| slot.place.is_some() && slot.active != value;
            let changed: Vec<usize> =
                (0..active.len()).filter(|&i| active[i] == value && switched(&self.slots[i])).collect();
            if !changed.is_empty() {
                let names: Vec<&str> = changed.iter().map(|&i| self.slots[i].named.name.as_str()).collect();
                self.adam.set_active(&names, value)?;
                changed.into_iter().for_each(|i| self.slots[i].active = value);
            }
        }
        Ok(())
    }
}
