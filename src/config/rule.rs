//! The update rules that are compiled, and the state that each of them keeps.

use crate::num::block8::{Code, SIGNED, UNSIGNED};

/// The files in `shaders/rules/`: what is compiled, as against what is a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    Adam,
    AmsGrad,
    AdaMax,
    NAdam,
    AdaBelief,
    Lion,
    RmsProp,
    RmsPropMomentum,
    AdaGrad,
    Momentum,
    Plain,
}

/// What is remembered of an element between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// First moment.
    M,
    /// Second moment.
    V,
    /// AMSGrad's largest second moment so far.
    VMax,
    /// The scales of the blocks of an 8-bit `m`: see [`StateDtype::Block8`](crate::StateDtype::Block8).
    MScale,
    /// Those of `v`.
    VScale,
    /// Those of `v_max`.
    VMaxScale,
    /// The f32 of which a 16-bit parameter is the rounding: see [`Master::F32`](crate::Master::F32).
    Master,
    /// What a bf16 parameter lacks to an f32: see [`Master::Remainder`](crate::Master::Remainder).
    Remainder,
}

impl StateKind {
    pub(crate) const ALL: [Self; 8] =
        [Self::M, Self::MScale, Self::V, Self::VScale, Self::VMax, Self::VMaxScale, Self::Master, Self::Remainder];

    /// Its name here and in WGSL.
    pub fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::V => "v",
            Self::VMax => "v_max",
            Self::MScale => "m_scale",
            Self::VScale => "v_scale",
            Self::VMaxScale => "v_max_scale",
            Self::Master => "master",
            Self::Remainder => "remainder",
        }
    }

    /// Where it is bound. Scales are behind their codes.
    pub(crate) fn binding(self) -> u32 {
        match self {
            Self::M | Self::MScale => 3,
            Self::V | Self::VScale => 4,
            Self::VMax | Self::VMaxScale => 6,
            Self::Master | Self::Remainder => 9,
        }
    }

    /// The scales of its blocks.
    pub(crate) fn scale(self) -> Option<Self> {
        match self {
            Self::M => Some(Self::MScale),
            Self::V => Some(Self::VScale),
            Self::VMax => Some(Self::VMaxScale),
            _ => None,
        }
    }

    pub(crate) fn is_scale(self) -> bool {
        matches!(self, Self::MScale | Self::VScale | Self::VMaxScale)
    }

    /// How its codes of 8 bits are to be read.
    pub(crate) fn code(self) -> Code {
        if self == Self::M { SIGNED } else { UNSIGNED }
    }
}

impl Rule {
    #[cfg(test)]
    pub const ALL: [Self; 11] = [
        Self::Adam,
        Self::AmsGrad,
        Self::AdaMax,
        Self::NAdam,
        Self::AdaBelief,
        Self::Lion,
        Self::RmsProp,
        Self::RmsPropMomentum,
        Self::AdaGrad,
        Self::Momentum,
        Self::Plain,
    ];

    /// What it remembers.
    pub fn state_kinds(self) -> &'static [StateKind] {
        match self {
            Self::Adam | Self::AdaMax | Self::NAdam | Self::AdaBelief | Self::RmsPropMomentum => {
                &[StateKind::M, StateKind::V]
            }
            Self::AmsGrad => &[StateKind::M, StateKind::V, StateKind::VMax],
            Self::Lion | Self::Momentum => &[StateKind::M],
            Self::RmsProp | Self::AdaGrad => &[StateKind::V],
            Self::Plain => &[],
        }
    }

    /// Whether it averages both the gradient and its square.
    pub fn has_snr(self) -> bool {
        matches!(self, Self::Adam | Self::AmsGrad | Self::NAdam | Self::AdaBelief)
    }

    pub fn wgsl(self) -> &'static str {
        match self {
            Self::Adam => include_str!("../../shaders/rules/adam.wgsl"),
            Self::AmsGrad => include_str!("../../shaders/rules/amsgrad.wgsl"),
            Self::AdaMax => include_str!("../../shaders/rules/adamax.wgsl"),
            Self::NAdam => include_str!("../../shaders/rules/nadam.wgsl"),
            Self::AdaBelief => include_str!("../../shaders/rules/adabelief.wgsl"),
            Self::Lion => include_str!("../../shaders/rules/lion.wgsl"),
            Self::RmsProp => include_str!("../../shaders/rules/rmsprop.wgsl"),
            Self::RmsPropMomentum => include_str!("../../shaders/rules/rmsprop_momentum.wgsl"),
            Self::AdaGrad => include_str!("../../shaders/rules/adagrad.wgsl"),
            Self::Momentum => include_str!("../../shaders/rules/momentum.wgsl"),
            Self::Plain => include_str!("../../shaders/rules/plain.wgsl"),
        }
    }
}
