//! Configurations of every variant, with every convention.

use wgpu_adam::preset::{optax, optimi, pytorch, schedulefree, timm};
use wgpu_adam::{Config, Decay, Options, Variant, cpu};

/// One configuration of each variant with each of its conventions.
pub fn variants() -> Vec<Config> {
    let of = |momentum, nesterov, lr_in_momentum, initial, centered| Config {
        variant: Variant::RmsProp { momentum, nesterov, lr_in_momentum, initial, centered },
        ..pytorch::rmsprop()
    };
    let rmsprop = |momentum, nesterov, lr_in_momentum, initial| of(momentum, nesterov, lr_in_momentum, initial, false);
    let sgd = |momentum, dampening, nesterov| Config {
        variant: Variant::Sgd { momentum, dampening, nesterov },
        ..pytorch::sgd()
    };
    vec![
        pytorch::adam(),
        pytorch::amsgrad(),
        optax::amsgrad(),
        pytorch::adamax(),
        pytorch::nadam(),
        optax::nadam(),
        pytorch::radam(),
        optax::radam(),
        optax::adabelief(),
        timm::laprop(),
        optax::adopt(),
        optax::ademamix(),
        Config { variant: Variant::AdEmaMix { beta3: 0.999, alpha: 4.0, warmup: 50 }, ..optax::ademamix() },
        optax::lamb(),
        Config { decay: Decay::Decoupled(0.1), ..optax::lamb() },
        optimi::stable_adamw(),
        timm::cautious_adamw(),
        schedulefree::adamw(),
        Config { beta1: 0.6, decay: Decay::Decoupled(0.1), ..schedulefree::adamw() },
        optax::lion(),
        rmsprop(0.0, false, false, 0.5),
        rmsprop(0.9, false, false, 0.0),
        rmsprop(0.3, false, false, 0.0),
        rmsprop(0.9, true, true, 0.0),
        optax::rmsprop(),
        pytorch::rmsprop_centered(),
        of(0.9, false, false, 0.0, true),
        of(0.9, true, true, 0.5, true),
        Config { beta2: 0.3, ..optax::rmsprop_centered() },
        pytorch::adagrad(),
        Config { variant: Variant::AdaGrad { lr_decay: 0.1, initial: 0.1 }, ..optax::adagrad() },
        sgd(0.0, 0.0, false),
        sgd(0.9, 0.0, false),
        sgd(0.9, 0.5, false),
        sgd(0.9, 0.0, true),
        sgd(0.3, 0.0, true),
    ]
}

/// The configuration without bias correction, if the variant has any.
pub fn uncorrected(config: Config) -> Config {
    accepted(Config { bias_correction: false, ..config }).unwrap_or(config)
}

/// The configuration with `eps_root`, if the variant uses it.
pub fn rooted(config: Config) -> Config {
    accepted(Config { eps_root: 1e-6, ..config }).unwrap_or(config)
}

fn accepted(config: Config) -> Option<Config> {
    let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 1)]);
    cpu::Adam::new(&[group], Options::default()).is_ok().then_some(config)
}
