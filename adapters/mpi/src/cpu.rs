//! Sharded training on the CPU, with the same bits as on the GPU.

use std::collections::VecDeque;
use std::fmt;

use bytemuck::cast_slice_mut;
use mpi::traits::Communicator;
use wgpu_adam::cpu::{Adam, Group, Tensor, TensorMut, Values};
use wgpu_adam::{Report, State};

use crate::error::Error;
use crate::layout::Span;
use crate::memory::{Memory, Which};
use crate::options::Options;
use crate::parts::Part;
use crate::ranks::{Outline, Ranks};
use crate::refusals::{check_groups, check_tensor};

/// A sharded optimizer on the CPU: the counterpart of [`crate::Sharded`].
pub struct Sharded {
    ranks: Ranks,
    adam: Adam,
}

impl fmt::Debug for Sharded {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let exchange = &self.ranks.exchange;
        f.debug_struct("Sharded").field("rank", &exchange.rank).field("ranks", &exchange.ranks).finish_non_exhaustive()
    }
}

impl Sharded {
    /// Creates the optimizer of this rank. All ranks must call it, with the same groups and options.
    ///
    /// # Errors
    /// As for [`crate::Sharded::new`].
    pub fn new(world: &impl Communicator, groups: &[Group], options: &Options) -> Result<Self, Error> {
        let outline =
            |tensor: &Tensor| Outline { name: tensor.name.clone(), len: tensor.len as u64, param: tensor.param };
        let ranks = Ranks::new(world, groups, options, outline)?;
        let adam = ranks.agree(Self::adam(&ranks, groups))?;
        Ok(Self { ranks, adam })
    }

    fn adam(ranks: &Ranks, groups: &[Group]) -> Result<Adam, Error> {
        check_groups(groups, &ranks.options)?;
        for tensor in groups.iter().flat_map(|group| &group.tensors) {
            check_tensor(&tensor.name, tensor.len as u64, (tensor.param, tensor.grad), tensor.rows.is_some())?;
        }
        let own = ranks.groups(groups, |tensor, part| Tensor {
            len: (part.end - part.begin) as usize,
            first: part.begin,
            ..tensor.clone()
        });
        let options = wgpu_adam::Options { share_norm: true, ..ranks.options.adam.clone() };
        Ok(Adam::new(&own, options)?)
    }

    /// Takes one step: adds up the gradients of all ranks, steps this rank's part, and gets the parameters of all ranks.
    ///
    /// `tensors` are all tensors, group by group. All ranks must call it. The gradients of the rank's own part become those
    /// of all ranks.
    ///
    /// # Errors
    /// As for [`crate::Sharded::step`], and [`Error::TensorCount`] and [`Error::State`] for tensors that are not those of the
    /// optimizer. Nothing has changed then.
    pub fn step(&mut self, tensors: &mut [TensorMut]) -> Result<Report, Error> {
        self.ranks.agree(self.check(tensors))?;
        let mut host = Host { tensors, pieces: VecDeque::new() };
        let summed = self.ranks.reduce_scatter(&mut host);
        let own = self.ranks.own();
        let sums = summed.and_then(|()| Ok(self.adam.norm(&mut parts(host.tensors, own))?));
        let total = self.ranks.total(sums)?;
        let report = self.adam.update(&mut parts(host.tensors, own), &total);
        let stepped = report.as_ref().map(|_| ()).map_err(|error| Error::Adam(error.clone()));
        self.ranks.all_gather(&mut host, stepped)?;
        if self.ranks.options.adam.zero_grad {
            host.tensors.iter_mut().for_each(|tensor| bytes(&mut tensor.grad).fill(0));
        }
        Ok(report?)
    }

    /// Checks the tensors of a step.
    fn check(&self, tensors: &mut [TensorMut]) -> Result<(), Error> {
        let all = &self.ranks.tensors;
        if tensors.len() != all.len() {
            return Err(Error::TensorCount { given: tensors.len(), need: all.len() });
        }
        for (tensor, outline) in tensors.iter_mut().zip(all) {
            if let Some(given) = tensor.name.filter(|given| *given != outline.name) {
                let reason = format!("tensor `{given}` was given in its place");
                return Err(Error::State { tensor: outline.name.clone(), reason });
            }
            let sizes = [bytes(&mut tensor.param).len() as u64, bytes(&mut tensor.grad).len() as u64];
            let need = [outline.len * crate::ranks::size(outline.param), outline.len * 4];
            if sizes != need {
                let reason = format!("param and grad have {sizes:?} bytes, but need {need:?}");
                return Err(Error::State { tensor: outline.name.clone(), reason });
            }
        }
        Ok(())
    }

    /// Returns the whole state on rank 0, and `None` on the others: see [`crate::Sharded::gather_state`].
    ///
    /// # Errors
    /// As for [`crate::Sharded::gather_state`].
    pub fn gather_state(&self) -> Result<Option<State>, Error> {
        self.ranks.gather_state(Ok(self.adam.state()))
    }

    /// Loads a whole state, of any number of ranks: see [`crate::Sharded::load_state`].
    ///
    /// # Errors
    /// As for [`crate::Sharded::load_state`].
    pub fn load_state(&mut self, whole: &State) -> Result<(), Error> {
        let own = self.ranks.own_state(whole)?;
        let loaded = self.adam.load_state(&own).map_err(Error::Adam);
        self.ranks.agree(loaded)
    }

    /// Returns the optimizer of this rank's part.
    pub fn optimizer(&self) -> &Adam {
        &self.adam
    }

    /// Returns the optimizer of this rank's part, to change its learning rates for example. Change it alike on all ranks.
    pub fn optimizer_mut(&mut self) -> &mut Adam {
        &mut self.adam
    }

    /// Returns the bytes that this rank has sent to other ranks.
    pub fn bytes_sent(&self) -> u64 {
        self.ranks.exchange.sent()
    }
}

/// The bytes of the values.
fn bytes<'a>(values: &'a mut Values) -> &'a mut [u8] {
    match values {
        Values::F32(values) => cast_slice_mut(values),
        Values::F16(values) => cast_slice_mut(values),
        Values::Bf16(values) => cast_slice_mut(values),
        Values::I32(values) => cast_slice_mut(values),
        _ => &mut [],
    }
}

/// A part of the values.
fn part<'a>(values: &'a mut Values, part: &Part) -> Values<'a> {
    let range = part.begin as usize..part.end as usize;
    match values {
        Values::F32(values) => (&mut values[range]).into(),
        Values::F16(values) => (&mut values[range]).into(),
        Values::Bf16(values) => (&mut values[range]).into(),
        Values::I32(values) => (&mut values[range]).into(),
        _ => (&mut [] as &mut [f32]).into(),
    }
}

/// These parts of the tensors, of which each tensor has at most one.
fn parts<'a>(tensors: &'a mut [TensorMut], own: &[Part]) -> Vec<TensorMut<'a>> {
    let with_part = |(i, tensor): (usize, &'a mut TensorMut)| {
        let own = own.iter().find(|part| part.tensor == i)?;
        Some(TensorMut::new(part(&mut tensor.param, own), part(&mut tensor.grad, own)))
    };
    tensors.iter_mut().enumerate().filter_map(with_part).collect()
}

/// Tensors on the host.
struct Host<'a, 'b> {
    tensors: &'a mut [TensorMut<'b>],
    pieces: VecDeque<Vec<u8>>,
}

impl Host<'_, '_> {
    fn bytes(&mut self, which: Which, span: &Span) -> &mut [u8] {
        let tensor = &mut self.tensors[span.tensor];
        let all = bytes(if which == Which::Param { &mut tensor.param } else { &mut tensor.grad });
        &mut all[span.from as usize..(span.from + span.bytes) as usize]
    }
}

impl Memory for Host<'_, '_> {
    fn read(&mut self, which: Which, spans: &[Span], bytes: u64) {
        let mut piece = vec![0; bytes as usize];
        for span in spans {
            piece[span.at as usize..(span.at + span.bytes) as usize].copy_from_slice(self.bytes(which, span));
        }
        self.pieces.push_back(piece);
    }

    fn poll(&mut self) {}

    fn take(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.pieces.pop_front().unwrap_or_default())
    }

    fn write(&mut self, which: Which, spans: &[Span], piece: &[u8]) -> Result<(), Error> {
        for span in spans {
            self.bytes(which, span).copy_from_slice(&piece[span.at as usize..(span.at + span.bytes) as usize]);
        }
        Ok(())
    }
}
