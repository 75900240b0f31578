//! How parameters and Adam's state are stored: the choices of the command line, in this crate's formats.

use clap::ValueEnum;
use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::{Dtype, Precision};

/// What `--params` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Params {
    /// 4 bytes each
    F32,
    /// 2 bytes, rounded to nearest: small steps are lost
    Bf16,
    /// 2 bytes, rounded by chance
    Bf16Stochastic,
    /// 2 bytes, and 2 for what they lack to an f32
    Bf16Remainder,
    /// 2 bytes, and 4 for a copy in f32
    Bf16Master,
}

/// What `--state` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// 4 bytes each
    F32,
    /// 2 bytes each
    Bf16,
    /// 1 byte each, in blocks with a scale
    Block8,
}

/// Both, and from which length of a tensor on the state is narrow.
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

    /// In words, where it is not all f32.
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
