//! What one kernel can do with a tensor: the rule, and how all is stored.

use crate::config::dtype::{Element, Format, Stored};
use crate::config::precision::{Master, Precision, Rounding, StateFormat};
use crate::config::rule::{Memory, Rule};
use crate::error::Error;
use crate::num::block8::BLOCK;

/// What one kernel can do: the rule, and how all is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    pub rule: Rule,
    pub param: Stored,
    pub grad: Stored,
    pub state: StateFormat,
    pub master: Master,
    /// Of the param, where it has 16 bits and no master.
    pub rounding: Rounding,
    /// Of the state, where it is not f32.
    pub state_rounding: Rounding,
}

impl Kind {
    /// How a tensor of so many elements is stored, if that can be.
    ///
    /// # Errors
    /// [`Error::Storage`], with the tensor's name.
    pub fn new(
        tensor: &str,
        rule: Rule,
        param: Format,
        grad: Format,
        len: u64,
        precision: &Precision,
    ) -> Result<Self, Error> {
        let refused = |reason| Err(Error::Storage { tensor: tensor.to_owned(), reason });
        let (param, scale, grad) = (param.stored(), grad.scale(), grad.stored());
        if param == Stored::I32 {
            return refused("a param cannot be stored as integers: only a grad can");
        }
        if !(scale > 0.0 && scale.is_finite()) {
            return refused("the scale of a grad of integers must be finite and above 0");
        }
        let master = if param.is_half() { precision.master } else { Master::None };
        if master == Master::Remainder && param != Stored::Bf16 {
            return refused("a param of f16 has no remainder of 16 bits that makes it an f32: only one of bf16 has");
        }
        let rounding = if param.is_half() { precision.param_rounding } else { Rounding::Nearest };
        let state = if rule.memories().is_empty() { StateFormat::F32 } else { precision.state_of(len) };
        let state_rounding = if state == StateFormat::F32 { Rounding::Nearest } else { precision.state_rounding };
        Ok(Self { rule, param, grad, state, master, rounding, state_rounding })
    }

    /// What is remembered: what the rule does, and what a param of 16 bits may have beside it.
    pub fn memories(&self) -> impl Iterator<Item = Memory> + use<> {
        let beside = match self.master {
            Master::None => None,
            Master::F32 => Some(Memory::Master),
            Master::Remainder => Some(Memory::Remainder),
        };
        self.rule.memories().iter().copied().chain(beside)
    }

    /// That with the scales of its blocks, each behind its codes.
    pub fn parts(&self) -> impl Iterator<Item = Memory> + use<> {
        let in_blocks = self.in_blocks();
        self.memories().flat_map(move |memory| [Some(memory), memory.scale().filter(|_| in_blocks)]).flatten()
    }

    /// How that is stored.
    pub fn element(&self, memory: Memory) -> Element {
        match (memory, self.state) {
            (Memory::Remainder, _) => Element::I16,
            (Memory::Master | Memory::MScale | Memory::VScale | Memory::VMaxScale, _) => Element::F32,
            (_, StateFormat::F32) => Element::F32,
            (_, StateFormat::Bf16) => Element::Bf16,
            (_, StateFormat::Block8) => Element::U8,
        }
    }

    /// How many of these a tensor of that length has.
    pub fn count(memory: Memory, len: u64) -> u64 {
        if memory.is_scale() { len.div_ceil(BLOCK) } else { len }
    }

    /// Whether the state is in blocks with scales of their own.
    pub fn in_blocks(&self) -> bool {
        self.state == StateFormat::Block8
    }

    /// Whether anything is not f32.
    pub fn is_narrow(&self) -> bool {
        (self.param, self.grad, self.state) != (Stored::F32, Stored::F32, StateFormat::F32)
    }

    /// Whether chance has a part in it.
    pub fn has_noise(&self) -> bool {
        [self.rounding, self.state_rounding].contains(&Rounding::Stochastic)
    }
}

#[cfg(test)]
impl Kind {
    /// All that can be: 160 for each rule that remembers something.
    pub fn all() -> impl Iterator<Item = Self> {
        let params = [Format::F32, Format::F16, Format::Bf16];
        let grads = [Format::F32, Format::F16, Format::Bf16, Format::I32 { scale: 1.0 }];
        let roundings = [Rounding::Nearest, Rounding::Stochastic];
        let precisions =
            [StateFormat::F32, StateFormat::Bf16, StateFormat::Block8].into_iter().flat_map(move |state| {
                roundings.into_iter().flat_map(move |param_rounding| {
                    roundings.into_iter().flat_map(move |state_rounding| {
                        [Master::None, Master::F32, Master::Remainder].map(|master| Precision {
                            state,
                            state_min_len: 0,
                            state_rounding,
                            param_rounding,
                            master,
                            seed: 0,
                        })
                    })
                })
            });
        let precisions: Vec<Precision> = precisions.filter(|precision| precision.validate().is_ok()).collect();
        let mut all = Vec::new();
        for (rule, param) in Rule::ALL.into_iter().flat_map(|rule| params.map(|param| (rule, param))) {
            for (grad, precision) in grads.into_iter().flat_map(|grad| precisions.iter().map(move |p| (grad, p))) {
                all.extend(Self::new("x", rule, param, grad, 1, precision).ok());
            }
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }
}
