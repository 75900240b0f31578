//! AdamW with burn's names.

use burn::config::Config;
use burn::module::{Module, ParamGroup};
use burn::tensor::wgpu::WgpuSetup;
use wgpu_adam::{Decay, Group, Options, Variant};

use crate::error::Error;
use crate::optimizer::Optimizer;

/// The configuration of AdamW, with the names and the defaults of burn's `AdamWConfig`.
///
/// burn's `grad_clipping` is not here, since it clips each tensor alone: see [`wgpu_adam::GroupClip::Tensor`] for that, and
/// [`wgpu_adam::Clip::GlobalNorm`] for the norm of all gradients.
#[derive(Config, Debug)]
pub struct AdamWConfig {
    /// The decay rate of the first moment. Default: 0.9.
    #[config(default = 0.9)]
    pub beta_1: f64,
    /// The decay rate of the second moment. Default: 0.999.
    #[config(default = 0.999)]
    pub beta_2: f64,
    /// The constant added to the divisor. Default: 1e-5, as in burn; PyTorch and optax have 1e-8.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// The decoupled weight decay, which is multiplied by the learning rate. Default: 1e-4.
    #[config(default = 1e-4)]
    pub weight_decay: f64,
    /// Decays only the parameters that the update moves towards zero anyway. Default: false.
    #[config(default = false)]
    pub cautious_weight_decay: bool,
    /// Takes the maximum of the second moment. Default: false.
    #[config(default = false)]
    pub amsgrad: bool,
}

impl AdamWConfig {
    /// Makes the configuration of a group. Its learning rate is set by each step.
    pub fn build(&self) -> wgpu_adam::Config {
        let Self { beta_1: beta1, beta_2: beta2, epsilon: eps, weight_decay, cautious_weight_decay, amsgrad } = *self;
        wgpu_adam::Config {
            beta1,
            beta2,
            eps,
            decay: if cautious_weight_decay { Decay::Cautious(weight_decay) } else { Decay::Decoupled(weight_decay) },
            variant: if amsgrad { Variant::AmsGrad { of_corrected: false } } else { Variant::Adam },
            ..wgpu_adam::Config::default()
        }
    }

    /// Makes an optimizer of all parameters of the module, with default options.
    ///
    /// # Errors
    /// As for [`Optimizer::new`].
    pub fn init<M: Module>(&self, setup: &WgpuSetup, module: &M) -> Result<Optimizer, Error> {
        Optimizer::new(setup, module, [(ParamGroup::all(), Group::new(self.build(), vec![]))], Options::default())
    }
}
