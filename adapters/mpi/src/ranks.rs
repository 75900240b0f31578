//! What a sharded optimizer on the GPU and one on the CPU have in common: the ranks, their parts, and what they agree on.

use std::fmt::Debug;

use mpi::traits::Communicator;
use wgpu_adam::{Dtype, Group, NormSums, State};

use crate::error::Error;
use crate::exchange::Exchange;
use crate::greeting::{Greeting, compare, text};
use crate::layout::Layout;
use crate::memory::Memory;
use crate::moves::{all_gather, reduce_scatter};
use crate::options::{Options, Reduction};
use crate::parts::{Part, cut};
use crate::shards::{merge, of_rank};

/// What all ranks know of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    pub name: String,
    pub len: u64,
    pub param: Dtype,
}

/// The ranks, and the parts of each.
pub(crate) struct Ranks {
    pub exchange: Exchange,
    pub options: Options,
    /// All tensors, group by group.
    pub tensors: Vec<Outline>,
    /// The parts of each rank.
    parts: Vec<Vec<Part>>,
    grads: Layout,
    params: Layout,
}

/// The bytes of a dtype of parameters.
pub(crate) fn size(dtype: Dtype) -> u64 {
    if dtype == Dtype::F32 { 4 } else { 2 }
}

impl Ranks {
    /// Checks that all ranks have the same groups and options, and divides the tensors.
    pub fn new<T>(
        world: &impl Communicator,
        groups: &[Group<T>],
        options: &Options,
        outline: impl Fn(&T) -> Outline,
    ) -> Result<Self, Error> {
        let exchange = Exchange::new(world, options.timeout());
        let tensors: Vec<Outline> = groups.iter().flat_map(|group| &group.tensors).map(outline).collect();
        let greeting = greeting(groups, options, &tensors);
        compare(&exchange.all_messages(&text(&greeting)))?;
        let lens: Vec<u64> = tensors.iter().map(|tensor| tensor.len).collect();
        let parts = cut(&lens, exchange.ranks).map_err(|blocks| Error::TooFew { blocks, ranks: exchange.ranks })?;
        let grads = Layout::new(&parts, |_| 4);
        let params = Layout::new(&parts, |tensor| size(tensors[tensor].param));
        Ok(Self { exchange, options: options.clone(), tensors, parts, grads, params })
    }

    /// The parts of this rank.
    pub fn own(&self) -> &[Part] {
        &self.parts[self.exchange.rank]
    }

    /// The layout of the gradients.
    pub fn grads(&self) -> &Layout {
        &self.grads
    }

    /// Groups with this rank's parts of the tensors. A group of which the rank has no part stays, without tensors.
    pub fn groups<T>(&self, groups: &[Group<T>], slice: impl Fn(&T, Part) -> T) -> Vec<Group<T>>
    where
        Group<T>: Clone,
    {
        let mut first = 0;
        let mut own = groups.to_vec();
        for (group, all) in own.iter_mut().zip(groups) {
            let of_group = first..first + all.tensors.len();
            let parts = self.own().iter().filter(|part| of_group.contains(&part.tensor));
            group.tensors = parts.map(|part| slice(&all.tensors[part.tensor - first], *part)).collect();
            first = of_group.end;
        }
        own
    }

    /// Adds up the gradients of all ranks in the part of this one.
    pub fn reduce_scatter(&self, memory: &mut impl Memory) -> Result<(), Error> {
        let scale = match self.options.reduction {
            Reduction::Mean => 1.0 / self.exchange.ranks as f32,
            Reduction::Sum => 1.0,
        };
        let piece = self.options.piece(self.exchange.ranks);
        reduce_scatter(memory, &self.exchange, &self.grads, piece, self.options.wire, scale)
    }

    /// Gives all ranks the parameters of each.
    pub fn all_gather(&self, memory: &mut impl Memory, before: Result<(), Error>) -> Result<(), Error> {
        all_gather(memory, &self.exchange, &self.params, self.options.piece(self.exchange.ranks), before)
    }

    /// An error on one rank is an error on all.
    pub fn agree<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let message = result.as_ref().err().map_or(String::new(), ToString::to_string);
        let all = self.exchange.all_messages(message.as_bytes());
        let value = result?;
        match all.iter().enumerate().find(|(_, message)| !message.is_empty()) {
            Some((rank, message)) => Err(Error::Rank { rank, reason: String::from_utf8_lossy(message).into_owned() }),
            None => Ok(value),
        }
    }

    /// The sums of the norm of all ranks, added in the order of the ranks. An error on one rank is an error on all.
    pub fn total(&self, own: Result<NormSums, Error>) -> Result<NormSums, Error> {
        // A first byte says whether the rank has failed, and why.
        let message = match &own {
            Ok(sums) => [&[0], &sums.to_bytes()[..]].concat(),
            Err(error) => [&[1], error.to_string().as_bytes()].concat(),
        };
        let all = self.exchange.all_messages(&message);
        own?;
        let mut total: Option<NormSums> = None;
        for (rank, message) in all.iter().enumerate() {
            let (failed, message) = message.split_first().unwrap_or((&0, &[]));
            if *failed != 0 {
                return Err(Error::Rank { rank, reason: String::from_utf8_lossy(message).into_owned() });
            }
            let sums = NormSums::from_bytes(message)?;
            match &mut total {
                None => total = Some(sums),
                Some(total) => total.add(&sums)?,
            }
        }
        Ok(total.unwrap_or_default())
    }

    /// The whole state on rank 0, from the part of each rank.
    pub fn gather_state(&self, own: Result<State, Error>) -> Result<Option<State>, Error> {
        let own = self.agree(own)?;
        let bytes = self.agree(own.to_bytes().map_err(Error::Adam))?;
        let Some(all) = self.exchange.gather(&bytes) else { return Ok(None) };
        let states = all.iter().map(|bytes| State::from_bytes(bytes).map_err(Error::Adam));
        merge(&states.collect::<Result<Vec<State>, Error>>()?, self.tensors.iter().map(|tensor| tensor.name.as_str()))
            .map(Some)
    }

    /// This rank's part of a whole state, which must be the same on all ranks.
    pub fn own_state(&self, whole: &State) -> Result<State, Error> {
        let counts = format!("{} applied, {} skipped, {:?}", whole.t, whole.skipped, whole.groups);
        let greeting = vec![("the state".to_owned(), counts)];
        compare(&self.exchange.all_messages(&text(&greeting)))?;
        self.agree(of_rank(whole, &self.tensors, self.own()))
    }
}

/// What must be the same on all ranks. The seed and the pieces too, since the ranks exchange piece by piece.
fn greeting<T>(groups: &[Group<T>], options: &Options, tensors: &[Outline]) -> Greeting {
    let mut greeting = Greeting::new();
    let mut say = |what: String, value: &dyn Debug| greeting.push((what, format!("{value:?}")));
    say("the version of wgpu-adam-mpi".to_owned(), &env!("CARGO_PKG_VERSION"));
    say("options.adam".to_owned(), &options.adam);
    say("options.wire".to_owned(), &options.wire);
    say("options.reduction".to_owned(), &options.reduction);
    say("options.piece".to_owned(), &options.piece);
    for (i, group) in groups.iter().enumerate() {
        say(format!("the configuration of group {i}"), &group.config);
        say(format!("the schedule of group {i}"), &group.schedule);
        say(format!("the clipping of group {i}"), &group.clip);
        say(format!("the precision of group {i}"), &group.precision);
        say(format!("the number of tensors of group {i}"), &group.tensors.len());
    }
    for (i, Outline { name, len, param }) in tensors.iter().enumerate() {
        say(format!("tensor {i}"), &format_args!("{name}, {len} elements, {param:?}"));
    }
    greeting
}
