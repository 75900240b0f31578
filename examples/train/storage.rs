//! Storage formats of the parameters and of Adam's moments: the options of the command line as types of this crate.

use clap::ValueEnum;
use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::{Dtype, Precision};

/// The values of `--params`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Params {
    /// 4 bytes each
    F32,
    /// 2 bytes each, rounded to nearest; small steps are lost
    Bf16,
    /// 2 bytes each, with stochastic rounding
    Bf16Stochastic,
    /// 2 bytes each, plus a 16-bit remainder that completes the f32
    Bf16Remainder,
    /// 2 bytes each, plus an f32 master copy of 4 bytes
    Bf16Master,
}

/// The values of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// 4 bytes each
    F32,
    /// 2 bytes each
    Bf16,
    /// 1 byte each, in blocks that share a scale
    Block8,
}

/// Both formats, and the smallest length of a tensor with narrow moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    pub params: Params,
    pub state: State,
    pub state_min_len: u64,
}

impl Storage {
    pub fn dtype(self) -> Dtype {
        if self.params == Params::F32 { Dtype::F32 } else { Dtype::Bf16 }
    }

    pub fn precision(self, seed: u32) -> Precision {
        let state = match self.state {
            State::F32 => StateDtype::F32,
            State::Bf16 => StateDtype::Bf16,
            State::Block8 => StateDtype::Block8,
        };
        let (param_rounding, master) = match self.params {
            Params::F32 | Params::Bf16 => (Rounding::Nearest, Master::None),
            Params::Bf16Stochastic => (Rounding::Stochastic, Master::None),
            Params::Bf16Remainder => (Rounding::Nearest, Master::Remainder),
            Params::Bf16Master => (Rounding::Nearest, Master::F32),
        };
        let state_min_len = self.state_min_len;
        Precision { state, state_min_len, param_rounding, master, seed, ..Precision::default() }
    }

    /// Describes the formats. Empty if everything is f32.
    pub fn title(self) -> String {
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map_or(String::new(), |v| v.get_name().to_owned());
        match (self.params, self.state) {
            (Params::F32, State::F32) => String::new(),
            (params, state) => {
                format!("; params {}, state {}", name(params.to_possible_value()), name(state.to_possible_value()))
            }
        }
    }
}
