//! Sharded training on a GPU.

mod device;

use std::fmt;

use mpi::traits::Communicator;
use wgpu::{BufferUsages, CommandEncoder, Device, Queue};
use wgpu_adam::{Adam, Group, NormSums, Report, State, Tensor, View};

use crate::error::Error;
use crate::options::Options;
use crate::parts::Part;
use crate::ranks::{Outline, Ranks};
use crate::refusals::{check_groups, check_tensor};
use device::{OnDevice, scoped};

/// An optimizer whose state is divided among the ranks of an MPI job, with the parameters of all ranks equal bit for bit.
///
/// Each rank has its own device, or shares one. The tensors of all ranks have the same names, lengths and dtypes. Rank r has
/// the state of its part only: about 8 / ranks bytes per element for Adam in f32.
///
/// ```no_run
/// # fn train(device: wgpu::Device, queue: wgpu::Queue, param: wgpu::Buffer, grad: wgpu::Buffer) -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_adam::{Config, Group, Tensor};
/// use wgpu_adam_mpi::{Options, Sharded};
///
/// let universe = mpi::initialize().ok_or("MPI is running already")?;
/// // The same parameters on all ranks.
/// let groups = [Group::new(Config::default(), vec![Tensor::f32("w", &param, &grad)])];
/// let mut adam = Sharded::new(&universe.world(), &device, &queue, &groups, &Options::default())?;
/// for _ in 0..1000 {
///     // The backward pass of this rank's part of the batch fills `grad` here.
///     adam.step()?;
/// }
/// if let Some(state) = adam.gather_state()? {
///     state.save("run.safetensors")?; // on rank 0
/// }
/// # Ok(())
/// # }
/// ```
pub struct Sharded {
    ranks: Ranks,
    adam: Adam,
    memory: OnDevice,
}

impl fmt::Debug for Sharded {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let exchange = &self.ranks.exchange;
        f.debug_struct("Sharded").field("rank", &exchange.rank).field("ranks", &exchange.ranks).finish_non_exhaustive()
    }
}

/// Checks that a view can be copied from and to.
fn check_view(tensor: &str, which: &str, view: &View) -> Result<(), Error> {
    let need = BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let given = view.buffer.usage();
    let what = || format!("tensor `{tensor}`");
    if !given.contains(need) {
        let reason = format!("the buffer of its {which} has usage {given:?}, but needs {need:?}");
        return Err(Error::Unsupported { what: what(), reason });
    }
    if !view.offset.is_multiple_of(4) {
        let reason = format!("its {which} begins at byte {}, but must begin at a multiple of 4", view.offset);
        return Err(Error::Unsupported { what: what(), reason });
    }
    Ok(())
}

impl Sharded {
    /// Creates the optimizer of this rank. All ranks must call it, with the same groups and options.
    ///
    /// The parameters must be equal on all ranks. The buffers need usages `COPY_SRC` and `COPY_DST`.
    ///
    /// # Errors
    /// Returns [`Error::Differs`] with the first difference between the ranks, [`Error::Unsupported`], [`Error::TooFew`],
    /// and the errors of [`Adam::new`]. If it fails on one rank, it fails on all.
    pub fn new(
        world: &impl Communicator,
        device: &Device,
        queue: &Queue,
        groups: &[Group],
        options: &Options,
    ) -> Result<Self, Error> {
        let outline =
            |tensor: &Tensor| Outline { name: tensor.name.clone(), len: tensor.param.len, param: tensor.param.dtype };
        let ranks = Ranks::new(world, groups, options, outline)?;
        let (adam, memory) = ranks.agree(Self::make(&ranks, device, queue, groups))?;
        Ok(Self { ranks, adam, memory })
    }

    fn make(ranks: &Ranks, device: &Device, queue: &Queue, groups: &[Group]) -> Result<(Adam, OnDevice), Error> {
        check_groups(groups, &ranks.options)?;
        let tensors: Vec<&Tensor> = groups.iter().flat_map(|group| &group.tensors).collect();
        let mut views = Vec::new();
        for Tensor { name, param, grad, rows, .. } in &tensors {
            check_tensor(name, param.len, (param.dtype, grad.dtype()), rows.is_some())?;
            let Some(grad) = grad.view() else {
                let reason = "its gradients must be in a fixed place".to_owned();
                return Err(Error::Unsupported { what: format!("tensor `{name}`"), reason });
            };
            check_view(name, "parameters", param)?;
            check_view(name, "gradients", grad)?;
            views.push((param.clone(), grad.clone()));
            if param.len != grad.len {
                let reason = format!("it has {} parameters and {} gradients", param.len, grad.len);
                return Err(Error::State { tensor: name.clone(), reason });
            }
        }
        let slice = |tensor: &Tensor, Part { tensor: i, begin, end }: Part| {
            let part = |view: &View| view.clone().slice(begin..end);
            Tensor::new(tensor.name.clone(), part(&tensor.param), part(&views[i].1)).with_first(begin)
        };
        let own = ranks.groups(groups, slice);
        let adam_options = wgpu_adam::Options { share_norm: true, ..ranks.options.adam.clone() };
        let adam = Adam::new(device, queue, &own, adam_options)?;
        let piece = ranks.options.piece(ranks.exchange.ranks) * ranks.exchange.ranks as u64;
        Ok((adam, OnDevice::new(device, queue, views, piece)?))
    }

    /// Takes one step: adds up the gradients of all ranks, steps this rank's part, and gets the parameters of all ranks.
    ///
    /// Submit the backward pass before. All ranks must call it. When it returns, the writes of the parameters are in the
    /// queue, and submissions from then on see them. The gradients of the rank's own part have become those of all ranks.
    ///
    /// It waits for the device and for the other ranks: this is not the step without a wait of [`Adam::step`].
    ///
    /// # Errors
    /// Returns the error of the device on the rank that has it, and [`Error::Rank`] on the others. If a rank is gone, or does not
    /// answer for [`Options::timeout`](field@Options::timeout), the job is aborted.
    pub fn step(&mut self) -> Result<(), Error> {
        let summed = self.ranks.reduce_scatter(&mut self.memory);
        let sums = summed.and_then(|()| self.norm());
        let total = self.ranks.total(sums)?;
        let stepped = self.adam.write_norm_sums(&total).map_err(Error::Adam);
        let stepped = stepped.and_then(|()| self.submit(|adam, encoder| adam.update(encoder)));
        self.ranks.all_gather(&mut self.memory, stepped)?;
        if self.ranks.options.adam.zero_grad {
            let others = (0..self.ranks.exchange.ranks).filter(|rank| *rank != self.ranks.exchange.rank);
            return self.memory.zero_grads(others.flat_map(|rank| self.ranks.grads().all(rank)));
        }
        Ok(())
    }

    /// The sums of the norm of this rank's part.
    fn norm(&self) -> Result<NormSums, Error> {
        if self.adam.norm_buffer().is_none() {
            return Ok(NormSums::default());
        }
        self.submit(|adam, encoder| adam.norm(encoder))?;
        Ok(pollster::block_on(self.adam.read_norm_sums())?)
    }

    fn submit(&self, record: impl FnOnce(&Adam, &mut CommandEncoder)) -> Result<(), Error> {
        scoped(&self.memory.device, || {
            let mut encoder = self.memory.device.create_command_encoder(&Default::default());
            record(&self.adam, &mut encoder);
            self.memory.queue.submit([encoder.finish()]);
        })
    }

    /// Gives all ranks the parameters of each, as at the end of a step: after [`Adam::eval_mode`], for example, which changes
    /// only the part of a rank. All ranks must call it.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn gather_params(&mut self) -> Result<(), Error> {
        self.ranks.all_gather(&mut self.memory, Ok(()))
    }

    /// Reads the report of the last step. But for [`Report::nonfinite_tensor`], which only the rank with the gradient has, it
    /// is the same on all ranks.
    ///
    /// # Errors
    /// As for [`Adam::read_report`].
    pub fn read_report(&self) -> Result<Report, Error> {
        Ok(pollster::block_on(self.adam.read_report())?)
    }

    /// Returns the whole state on rank 0, and `None` on the others. All ranks must call it.
    ///
    /// It is the state of one optimizer with whole tensors: an [`Adam`] can load it, and so can any number of ranks.
    ///
    /// # Errors
    /// Returns the errors of [`Adam::read_state`]. If it fails on one rank, it fails on all, but for [`Error::State`].
    pub fn gather_state(&self) -> Result<Option<State>, Error> {
        self.ranks.gather_state(pollster::block_on(self.adam.read_state()).map_err(Error::Adam))
    }

    /// Returns the state of this rank's part. [`merge`](crate::merge) makes a whole state of those of all ranks.
    ///
    /// # Errors
    /// As for [`Adam::read_state`].
    pub fn read_own_state(&self) -> Result<State, Error> {
        Ok(pollster::block_on(self.adam.read_state())?)
    }

    /// Loads a whole state, of any number of ranks or of an [`Adam`]. All ranks must call it, with the same state. The
    /// parameters belong to the caller, and are not in it.
    ///
    /// # Errors
    /// Returns [`Error::State`] for a tensor of another length, [`Error::Differs`] if the ranks have states of different steps or
    /// groups, and the errors of [`Adam::load_state`]. If it fails on one rank, it fails on all.
    pub fn load_state(&mut self, whole: &State) -> Result<(), Error> {
        let own = self.ranks.own_state(whole)?;
        let loaded = pollster::block_on(self.adam.load_state(&own)).map_err(Error::Adam);
        self.ranks.agree(loaded)
    }

    /// Returns the optimizer of this rank's part.
    pub fn optimizer(&self) -> &Adam {
        &self.adam
    }

    /// Returns the optimizer of this rank's part, to change its learning rates for example. Change it alike on all ranks, and
    /// leave its tensors.
    pub fn optimizer_mut(&mut self) -> &mut Adam {
        &mut self.adam
    }

    /// Returns the bytes that this rank has sent to other ranks.
    pub fn bytes_sent(&self) -> u64 {
        self.ranks.exchange.sent()
    }
}
