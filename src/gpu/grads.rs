//! `Adam::set_grads`: gradients that are in another place at each step.

use wgpu::{BufferUsages, CommandEncoder};

use crate::config::grads::Grads;
use crate::config::group::Group;
use crate::config::hyperparameters::Config;
use crate::config::tensor::Tensor;
use crate::config::view::View;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::blame::at_once;
use crate::gpu::buffers::empty;
use crate::gpu::dispatch::{ABSENT, Dispatch, GradPlace};
use crate::gpu::grad_places::GivenGrads;
use crate::plan::limits::Limits;
use crate::plan::validate::{QUAD, check_view};

/// What [`Adam::set_grads`] had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GradsSet {
    /// The number of bind groups that were made. It is 0 if all gradients are where they were in one of the last steps.
    pub bind_groups: usize,
    /// The number of gradients that are copied to buffers of the optimizer.
    pub copied: usize,
}

impl Adam {
    /// Sets where the gradients are, for the steps that are recorded from now on. `grads` has an element for each tensor, in
    /// the order of [`tensor_names`](Self::tensor_names): a view for each tensor with
    /// [`Grads::EachStep`](crate::Grads::EachStep), and `None` for the others. An inactive tensor may have `None`, too.
    ///
    /// ```no_run
    /// # fn step(
    /// #     adam: &mut wgpu_adam::Adam, device: &wgpu::Device, queue: &wgpu::Queue, weight: &wgpu::Buffer, bias: &wgpu::Buffer,
    /// # ) -> Result<(), wgpu_adam::Error> {
    /// use wgpu_adam::View;
    /// // The tensors were made with `Tensor::each_step`. The backward pass has just allocated their gradients.
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// adam.set_grads(&mut encoder, &[Some(View::f32(weight)), Some(View::f32(bias))])?;
    /// adam.step(&mut encoder);
    /// queue.submit([encoder.finish()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A dispatch binds a gradient in its place, if the offset is a multiple of the device's
    /// `min_storage_buffer_offset_alignment`, and if its last quad of 16 bytes is within the buffer. The place may be in the
    /// buffer of the parameters. The optimizer keeps 16 bind groups for each dispatch, those of the last places, so that a
    /// training loop usually makes none. They keep their buffers alive.
    ///
    /// Any other gradient is copied, by a command at the end of `encoder`, to a buffer that the optimizer makes for this
    /// tensor and keeps. [`GradsSet::copied`] counts these copies, and a debug message of `log` reports them. The buffer of the
    /// gradient needs [`BufferUsages::COPY_SRC`] then, and the offset must be a multiple of 4. A copy has the gradients as they are
    /// at this point of `encoder`: so call this method after each backward pass, even if all places stay the same.
    ///
    /// Call this method again after every method that replaces dispatches: [`add`](Self::add), [`add_group`](Self::add_group),
    /// [`remove`](Self::remove), [`reset`](Self::reset), [`rebind`](Self::rebind), [`rebind_all`](Self::rebind_all),
    /// [`gather`](Self::gather), and, if they replace buffers, [`set_active`](Self::set_active),
    /// [`set_group_active`](Self::set_group_active), [`set_config`](Self::set_config) and [`load_state`](Self::load_state). Until
    /// then, [`step`](Self::step) records nothing, and logs an error.
    ///
    /// # Errors
    /// Returns [`Error::TensorCount`]; [`Error::NoGrads`] for an active tensor without a view; [`Error::FixedGrads`] for a view
    /// of a tensor with fixed gradients; [`Error::TensorLength`] and [`Error::TensorDtype`]; the errors of an invalid view;
    /// [`Error::Overlap`] if a gradient shares bytes with parameters. Nothing has changed then. Also returns
    /// [`Error::Buffer`], [`Error::OutOfMemory`] and [`Error::Device`]. Nothing is recorded then, and the gradients must be set
    /// again.
    pub fn set_grads(&mut self, encoder: &mut CommandEncoder, grads: &[Option<View>]) -> Result<GradsSet, Error> {
        let mut places = self.grad_places(grads)?;
        for dispatch in &self.dispatches {
            dispatch.unbindable(&places).into_iter().for_each(|tensor| places[tensor] = None);
        }
        let tensors: Vec<&Tensor> = self.registry.groups.iter().flat_map(|group| &group.tensors).collect();
        let copied: Vec<(usize, &View)> =
            (0..tensors.len()).filter(|&i| places[i].is_none()).filter_map(|i| Some((i, grads[i].as_ref()?))).collect();
        copied.iter().try_for_each(|(i, view)| check_copy(&tensors[*i].name, view))?;

        let without: Vec<usize> = copied.iter().map(|(tensor, _)| *tensor).collect();
        for &tensor in &without {
            places[tensor] = self.given.copies.get(tensor).and_then(|copy| Some((copy.clone()?, 0)));
        }
        let has_copies = without.iter().all(|&tensor| places[tensor].is_some());
        let bind_groups = if has_copies && self.dispatches.iter().all(|dispatch| dispatch.has_kept(&places)) {
            self.bind_grads(places, &without)
        } else {
            let given = tensors.iter().zip(grads);
            let given = given.filter_map(|(t, grad)| Some(Tensor::new(&t.name, t.param.clone(), grad.clone()?)));
            let given = Group::new(Config::default(), given.collect());
            let bound =
                at_once(&self.device.clone(), &[given], "binding gradients", || Ok(self.bind_grads(places, &without)));
            bound.inspect_err(|_| self.unbind_grads())?
        };
        if !copied.is_empty() {
            log::debug!("{} gradients are copied, because they cannot be bound in their places", copied.len());
        }
        for (tensor, view) in &copied {
            if let Some((copy, _)) = &self.given.places[*tensor] {
                let bytes = (view.len * view.dtype.bytes()).next_multiple_of(4);
                encoder.copy_buffer_to_buffer(&view.buffer, view.offset, copy, 0, bytes);
            }
        }
        Ok(GradsSet { bind_groups, copied: copied.len() })
    }

    /// Checks the views, and returns the places of gradients that can be bound as far as their offset goes.
    fn grad_places(&mut self, grads: &[Option<View>]) -> Result<Vec<Option<GradPlace>>, Error> {
        let groups = &self.registry.groups;
        let clocks = &self.registry.clocks;
        let tensors: Vec<&Tensor> = groups.iter().flat_map(|group| &group.tensors).collect();
        if tensors.len() != grads.len() {
            return Err(Error::TensorCount { given: grads.len(), need: tensors.len() });
        }
        let align = Limits::of(&self.device).align.max(QUAD);
        let mut places = vec![None; tensors.len()];
        for (i, (tensor, view)) in tensors.iter().zip(grads).enumerate() {
            let Some(view) = view else {
                if tensor.grad.view().is_none() && clocks.is_active(clocks.of_tensor[i]) {
                    return Err(Error::NoGrads { tensor: tensor.name.clone() });
                }
                continue;
            };
            check(tensor, view)?;
            let bytes = view.offset..view.offset + view.len * view.dtype.bytes();
            if let Some(other) = self.given.param_in(groups, &view.buffer, &bytes) {
                let (tensor, other) = (tensor.name.clone(), tensors[other].name.clone());
                return Err(Error::Overlap { tensor, view: "grad", other, other_view: "param" });
            }
            places[i] = view.offset.is_multiple_of(align).then(|| (view.buffer.clone(), view.offset));
        }
        Ok(places)
    }

    /// Binds gradients in these places, those of the tensors without a place in copies. Returns how many bind groups are new.
    fn bind_grads(&mut self, mut places: Vec<Option<GradPlace>>, without: &[usize]) -> usize {
        let groups = &self.registry.groups;
        let tensors: Vec<&Tensor> = groups.iter().flat_map(|group| &group.tensors).collect();
        self.given.copies.resize(tensors.len(), None);
        for &tensor in without {
            let copy = self.given.copies[tensor].get_or_insert_with(|| {
                let grad = &tensors[tensor].grad;
                let size = (grad.len() * grad.dtype().bytes()).next_multiple_of(QUAD);
                empty(&self.device, "gradients", BufferUsages::STORAGE | BufferUsages::COPY_DST, size)
            });
            places[tensor] = Some((copy.clone(), 0));
        }
        if tensors.iter().zip(&places).any(|(tensor, place)| tensor.grad.view().is_none() && place.is_none()) {
            let usage = BufferUsages::STORAGE;
            self.given.absent.get_or_insert_with(|| empty(&self.device, "absent gradients", usage, ABSENT));
        }
        let (pipelines, absent) = (&mut self.reusable.pipelines, self.given.absent.as_ref());
        let bind = |dispatch: &mut Dispatch| usize::from(dispatch.bind(&self.device, pipelines, &places, absent));
        let bind_groups = self.dispatches.iter_mut().map(bind).sum();
        self.given.places = places;
        bind_groups
    }

    /// Forgets all gradients.
    fn unbind_grads(&mut self) {
        self.dispatches.iter_mut().for_each(Dispatch::unbind);
        self.given = GivenGrads::default();
    }

    /// Checks that the gradients of all active tensors are known.
    pub(crate) fn check_given(&self) -> Result<(), Error> {
        let unbound = !self.dispatches.iter().all(Dispatch::is_bound);
        if !unbound && self.given.places.is_empty() {
            return Ok(());
        }
        let clocks = &self.registry.clocks;
        let is_active = |number: usize| clocks.is_active(clocks.of_tensor[number]);
        let is_given = |number: usize| !unbound && self.given.places[number].is_some();
        let tensors = self.registry.groups.iter().flat_map(|group| &group.tensors).enumerate();
        let mut moving = tensors.filter(|(_, tensor)| tensor.grad.view().is_none());
        match moving.find(|(number, _)| !is_given(*number) && (unbound || is_active(*number))) {
            Some((_, tensor)) => Err(Error::NoGrads { tensor: tensor.name.clone() }),
            None => Ok(()),
        }
    }
}

/// Checks a view of gradients of a tensor.
fn check(tensor: &Tensor, view: &View) -> Result<(), Error> {
    let name = || tensor.name.clone();
    let Grads::EachStep { len, dtype } = tensor.grad else { return Err(Error::FixedGrads { tensor: name() }) };
    check_view(&tensor.name, "grad", view)?;
    if view.dtype != dtype {
        let (given, need) = (format!("{:?}", view.dtype), format!("{dtype:?}"));
        return Err(Error::TensorDtype { tensor: name(), view: "grad", given, need });
    }
    if view.len != len {
        return Err(Error::TensorLength { tensor: name(), view: "grad", given: view.len as usize, need: len as usize });
    }
    Ok(())
}

/// Checks that a gradient can be copied.
fn check_copy(tensor: &str, view: &View) -> Result<(), Error> {
    if !view.offset.is_multiple_of(4) {
        let (tensor, view, offset) = (tensor.to_owned(), "grad", view.offset);
        return Err(Error::Unaligned { tensor, view, offset, need: 4 });
    }
    let given = view.buffer.usage();
    if !given.contains(BufferUsages::COPY_SRC) {
        let missing = BufferUsages::COPY_SRC;
        return Err(Error::MissingUsage { tensor: tensor.to_owned(), view: "grad", given, missing });
    }
    Ok(())
}
