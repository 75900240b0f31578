//! What the controls of the page say, as types of this crate.

use serde::{Deserialize, Serialize};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Config, Decay, Options, Precision, Schedule, preset};

/// The number of steps that a schedule is made for.
const STEPS: u32 = 2_000;

/// The controls. The page sends them as JSON, and a saved file contains them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub rule: Rule,
    pub lr: f64,
    /// The decoupled weight decay of the weights. Biases do not decay.
    pub decay: f64,
    pub schedule: Course,
    pub moments: Moments,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Adam,
    AmsGrad,
    AdaMax,
    NAdam,
    RAdam,
    AdaBelief,
    Lion,
    RmsProp,
    Centered,
    AdaGrad,
    Sgd,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Course {
    Constant,
    WarmUp,
    Linear,
    Cosine,
    Restarts,
    OneCycle,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moments {
    F32,
    Bf16,
    Block8,
}

impl Settings {
    /// Returns the configurations of the weights and of the biases.
    pub fn configs(&self) -> [Config; 2] {
        let plain = Config { lr: self.lr, decay: Decay::None, ..self.rule.preset() };
        let decay = if self.decay > 0.0 { Decay::Decoupled(self.decay) } else { Decay::None };
        [Config { decay, ..plain.clone() }, plain]
    }

    pub fn schedule(&self) -> Schedule {
        match self.schedule {
            Course::Constant => Schedule::Constant(1.0),
            Course::WarmUp => Schedule::InverseSqrt { timescale: 200 }.with_warm_up(200),
            Course::Linear => Schedule::Linear { from: 1.0, to: 0.0, steps: STEPS },
            Course::Cosine => Schedule::Cosine { from: 1.0, to: 0.0, steps: STEPS },
            Course::Restarts => Schedule::CosineRestarts { from: 1.0, to: 0.0, steps: STEPS / 10, growth: 2 },
            Course::OneCycle => Schedule::OneCycle { from: 0.04, to: 4e-6, up: STEPS * 3 / 10, down: STEPS * 7 / 10 },
        }
    }

    /// A step with a non-finite gradient is skipped and counted.
    pub fn options(&self) -> Options {
        Options { skip_nonfinite: true, precision: self.moments.precision(), ..Options::default() }
    }
}

impl Rule {
    pub fn preset(self) -> Config {
        match self {
            Self::Adam => preset::pytorch::adam(),
            Self::AmsGrad => preset::pytorch::amsgrad(),
            Self::AdaMax => preset::pytorch::adamax(),
            Self::NAdam => preset::pytorch::nadam(),
            Self::RAdam => preset::pytorch::radam(),
            Self::AdaBelief => preset::optax::adabelief(),
            Self::Lion => preset::optax::lion(),
            Self::RmsProp => preset::pytorch::rmsprop(),
            Self::Centered => Config { eps: 1e-4, ..preset::pytorch::rmsprop_centered() },
            Self::AdaGrad => preset::pytorch::adagrad(),
            Self::Sgd => {
                let variant = wgpu_adam::Variant::Sgd { momentum: 0.9, dampening: 0.0, nesterov: false };
                Config { variant, ..preset::pytorch::sgd() }
            }
        }
    }
}

impl Moments {
    pub fn precision(self) -> Precision {
        let state = match self {
            Self::F32 => StateDtype::F32,
            Self::Bf16 => StateDtype::Bf16,
            Self::Block8 => StateDtype::Block8,
        };
        Precision { state, ..Precision::default() }
    }
}
