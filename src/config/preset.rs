//! Configurations with the names and the defaults of other frameworks.
//!
//! ```
//! use wgpu_adam::{Config, preset};
//! let config = Config { lr: 3e-4, ..preset::pytorch::adamw() };
//! ```

pub use crate::config::splats;

/// The optimizers of `torch.optim`, as of PyTorch 2.15.
pub mod pytorch {
    use crate::config::hyperparameters::{Config, Decay};
    use crate::config::variant::Variant;

    /// `Adam`: lr 1e-3, betas (0.9, 0.999), eps 1e-8. With `amsgrad=True` see [`amsgrad`].
    pub fn adam() -> Config {
        Config::default()
    }

    /// `AdamW`: like `Adam`, with decoupled decay 1e-2.
    pub fn adamw() -> Config {
        Config { decay: Decay::Decoupled(1e-2), ..Config::default() }
    }

    /// `Adam(amsgrad=True)`: takes the maximum of `v`. No decay: for `AdamW(amsgrad=True)` see [`adamw_amsgrad`].
    pub fn amsgrad() -> Config {
        Config { variant: Variant::AmsGrad { of_corrected: false }, ..Config::default() }
    }

    /// `AdamW(amsgrad=True)`: takes the maximum of `v`, with decoupled decay 1e-2.
    pub fn adamw_amsgrad() -> Config {
        Config { variant: Variant::AmsGrad { of_corrected: false }, ..adamw() }
    }

    /// `Adamax`: lr 2e-3.
    pub fn adamax() -> Config {
        Config { lr: 2e-3, variant: Variant::AdaMax, ..Config::default() }
    }

    /// `NAdam`: lr 2e-3, momentum_decay 4e-3.
    pub fn nadam() -> Config {
        Config { lr: 2e-3, variant: Variant::NAdam { momentum_decay: Some(4e-3) }, ..Config::default() }
    }

    /// `NAdam(weight_decay=…, decoupled_weight_decay=True)`: like `NAdam`, with decoupled decay. PyTorch's default for
    /// `weight_decay` is 0, so it is an argument here.
    pub fn nadamw(weight_decay: f64) -> Config {
        Config { decay: Decay::Decoupled(weight_decay), ..nadam() }
    }

    /// `RAdam`: adds eps to `sqrt(v)`.
    pub fn radam() -> Config {
        Config { variant: Variant::RAdam { eps_on_raw: true }, ..Config::default() }
    }

    /// `RAdam(weight_decay=…, decoupled_weight_decay=True)`: like `RAdam`, with decoupled decay. PyTorch's default for
    /// `weight_decay` is 0, so it is an argument here.
    pub fn radamw(weight_decay: f64) -> Config {
        Config { decay: Decay::Decoupled(weight_decay), ..radam() }
    }

    /// `RMSprop`: lr 1e-2, alpha 0.99 (here `beta2`), no momentum, not centered.
    pub fn rmsprop() -> Config {
        let variant =
            Variant::RmsProp { momentum: 0.0, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: false };
        Config { lr: 1e-2, beta2: 0.99, bias_correction: false, variant, ..Config::default() }
    }

    /// `RMSprop(centered=True)`: like `RMSprop`, divided by the root of the variance.
    pub fn rmsprop_centered() -> Config {
        let variant =
            Variant::RmsProp { momentum: 0.0, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: true };
        Config { variant, ..rmsprop() }
    }

    /// `Adagrad`: lr 1e-2, eps 1e-10.
    pub fn adagrad() -> Config {
        let variant = Variant::AdaGrad { lr_decay: 0.0, initial: 0.0 };
        Config { lr: 1e-2, eps: 1e-10, variant, ..Config::default() }
    }

    /// `SGD`: lr 1e-3, no momentum.
    pub fn sgd() -> Config {
        let variant = Variant::Sgd { momentum: 0.0, dampening: 0.0, nesterov: false };
        Config { variant, ..Config::default() }
    }
}

/// The optimizers of optax 0.2.8. optax has no default learning rate: it is 1e-3 here.
pub mod optax {
    use crate::config::hyperparameters::{Config, Decay};
    use crate::config::variant::Variant;

    /// `adam`: b1 0.9, b2 0.999, eps 1e-8, eps_root 0.
    pub fn adam() -> Config {
        Config::default()
    }

    /// `adamw`: decoupled decay 1e-4.
    pub fn adamw() -> Config {
        Config { decay: Decay::Decoupled(1e-4), ..Config::default() }
    }

    /// `amsgrad`: takes the maximum of `v_hat`.
    pub fn amsgrad() -> Config {
        Config { variant: Variant::AmsGrad { of_corrected: true }, ..Config::default() }
    }

    /// `adamax`.
    pub fn adamax() -> Config {
        Config { variant: Variant::AdaMax, ..Config::default() }
    }

    /// `adamaxw`: like `adamax`, with decoupled decay 1e-4.
    pub fn adamaxw() -> Config {
        Config { decay: Decay::Decoupled(1e-4), ..adamax() }
    }

    /// `nadam`: without a momentum schedule.
    pub fn nadam() -> Config {
        Config { variant: Variant::NAdam { momentum_decay: None }, ..Config::default() }
    }

    /// `nadamw`: like `nadam`, with decoupled decay 1e-4.
    pub fn nadamw() -> Config {
        Config { decay: Decay::Decoupled(1e-4), ..nadam() }
    }

    /// `radam`: adds eps to `sqrt(v_hat)`, threshold 5.
    pub fn radam() -> Config {
        Config { variant: Variant::RAdam { eps_on_raw: false }, ..Config::default() }
    }

    /// `adabelief`: eps 1e-16, eps_root 1e-16.
    pub fn adabelief() -> Config {
        Config { eps: 1e-16, eps_root: 1e-16, variant: Variant::AdaBelief, ..Config::default() }
    }

    /// `contrib.adopt`: b2 0.9999, eps 1e-6, with clipping.
    pub fn adopt() -> Config {
        Config { beta2: 0.9999, eps: 1e-6, variant: Variant::Adopt, ..Config::default() }
    }

    /// `contrib.ademamix` of 0.2.8: b3 0.9999, alpha 5, no warm-up. For a warm-up as in the paper, set `warmup` to the steps of the
    /// run.
    pub fn ademamix() -> Config {
        Config { variant: Variant::AdEmaMix { beta3: 0.9999, alpha: 5.0, warmup: 0 }, ..Config::default() }
    }

    /// `lamb`: eps 1e-6, no decay.
    pub fn lamb() -> Config {
        Config { eps: 1e-6, variant: Variant::Lamb, ..Config::default() }
    }

    /// `lion`: b2 0.99, decoupled decay 1e-3.
    pub fn lion() -> Config {
        Config { beta2: 0.99, decay: Decay::Decoupled(1e-3), variant: Variant::Lion, ..Config::default() }
    }

    /// `signum`: the sign of the momentum, beta 0.9, no decay. This is Lion with equal betas.
    pub fn signum() -> Config {
        Config { beta1: 0.9, beta2: 0.9, variant: Variant::Lion, ..Config::default() }
    }

    /// `rmsprop`: decay 0.9 (here `beta2`), eps 1e-8 inside the root, no momentum, not centered.
    pub fn rmsprop() -> Config {
        let variant =
            Variant::RmsProp { momentum: 0.0, nesterov: false, lr_in_momentum: true, initial: 0.0, centered: false };
        Config { beta2: 0.9, eps: 0.0, eps_root: 1e-8, bias_correction: false, variant, ..Config::default() }
    }

    /// `rmsprop(centered=True)`: like `rmsprop`, divided by the root of the variance.
    pub fn rmsprop_centered() -> Config {
        let variant =
            Variant::RmsProp { momentum: 0.0, nesterov: false, lr_in_momentum: true, initial: 0.0, centered: true };
        Config { variant, ..rmsprop() }
    }

    /// `adagrad`: initial accumulator 0.1, eps 1e-7 inside the root.
    pub fn adagrad() -> Config {
        let variant = Variant::AdaGrad { lr_decay: 0.0, initial: 0.1 };
        Config { eps: 0.0, eps_root: 1e-7, variant, ..Config::default() }
    }

    /// `sgd`: no momentum.
    pub fn sgd() -> Config {
        super::pytorch::sgd()
    }
}

/// The optimizers of timm 1.0 that PyTorch does not have.
pub mod timm {
    use crate::config::hyperparameters::{Config, Decay};
    use crate::config::variant::Variant;

    /// `LaProp`: lr 4e-4, eps 1e-15. timm multiplies by `lr` before `m`; here `lr` is outside, as in the paper. The two
    /// differ after a change of the rate.
    pub fn laprop() -> Config {
        Config { lr: 4e-4, eps: 1e-15, variant: Variant::LaProp, ..Config::default() }
    }

    /// `AdamW(caution=True)`, `cadamw`: lr 1e-3, decoupled decay 1e-2.
    pub fn cautious_adamw() -> Config {
        Config { decay: Decay::Decoupled(1e-2), variant: Variant::Cautious, ..Config::default() }
    }
}

/// The optimizers of the package `torch-optimi` 0.3 that PyTorch does not have.
pub mod optimi {
    use crate::config::hyperparameters::{Config, Decay};
    use crate::config::variant::Variant;

    /// `StableAdamW`: betas (0.9, 0.99), eps 1e-6, decoupled decay 1e-2. It has no default learning rate: it is 1e-3 here.
    pub fn stable_adamw() -> Config {
        Config { beta2: 0.99, eps: 1e-6, decay: Decay::Decoupled(1e-2), variant: Variant::Stable, ..Config::default() }
    }
}

/// The optimizers of the package `schedulefree` 1.4, of the authors of Schedule-Free.
pub mod schedulefree {
    use crate::config::hyperparameters::Config;
    use crate::config::variant::Variant;

    /// `AdamWScheduleFree`: lr 2.5e-3, betas (0.9, 0.999), eps 1e-8, no decay, no warm-up: see
    /// [`Schedule::with_warm_up`](crate::Schedule::with_warm_up). optax's `contrib.schedule_free_adamw` has the same equations
    /// and defaults.
    pub fn adamw() -> Config {
        Config { lr: 2.5e-3, variant: Variant::ScheduleFree, ..Config::default() }
    }
}

/// The optimizers of burn 0.22.
pub mod burn {
    use crate::config::hyperparameters::{Config, Decay};

    /// `AdamConfig`: eps 1e-5.
    pub fn adam() -> Config {
        Config { eps: 1e-5, ..Config::default() }
    }

    /// `AdamWConfig`: eps 1e-5, decoupled decay 1e-4.
    pub fn adamw() -> Config {
        Config { decay: Decay::Decoupled(1e-4), ..adam() }
    }
}
