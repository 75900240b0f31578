//! The racers: a rule to a line.

use std::ops::RangeInclusive;
use wgpu_adam::{Config, Decay, Variant, preset};

pub struct Racer {
    pub name: &'static str,
    pub config: Config,
    /// The grid of learning rates, as halves of exponents of ten: -6 stands for 10^-3.
    pub rates: RangeInclusive<i32>,
}

/// The rules with the numbers of their presets, for a run of so many steps.
pub fn racers(steps: u32) -> Vec<Racer> {
    let adam = preset::pytorch::adam;
    let sgd = |momentum, nesterov| Config { variant: Variant::Sgd { momentum, dampening: 0.0, nesterov }, ..adam() };
    // Its paper warms up over the whole run.
    let slow = Variant::AdEmaMix { beta3: 0.9999, alpha: 5.0, warmup: steps };
    let table = [
        ("Adam", adam(), -7),
        ("AdamW", preset::pytorch::adamw(), -7),
        ("AdamW, CWD", Config { decay: Decay::Cautious(1e-2), ..adam() }, -7),
        ("AMSGrad", preset::pytorch::amsgrad(), -7),
        ("AdaMax", preset::pytorch::adamax(), -7),
        ("NAdam", preset::pytorch::nadam(), -7),
        ("RAdam", preset::pytorch::radam(), -7),
        ("AdaBelief", preset::optax::adabelief(), -7),
        ("LaProp", preset::timm::laprop(), -7),
        ("ADOPT", preset::optax::adopt(), -7),
        ("AdEMAMix", Config { variant: slow, ..adam() }, -8),
        ("Schedule-Free", preset::schedulefree::adamw(), -6),
        ("LAMB", preset::optax::lamb(), -6),
        ("StableAdamW", preset::optimi::stable_adamw(), -7),
        ("Cautious AdamW", preset::timm::cautious_adamw(), -7),
        ("Lion", preset::optax::lion(), -9),
        ("RMSProp", preset::pytorch::rmsprop(), -8),
        ("AdaGrad", preset::pytorch::adagrad(), -5),
        ("SGD-Nesterov", sgd(0.9, true), -4),
        ("SGD", sgd(0.0, false), -2),
    ];
    table.map(|(name, config, first)| Racer { name, config, rates: first..=first + 7 }).into()
}
