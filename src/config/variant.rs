//! The family: each variant with its conventions, and where frameworks disagree. CONTRIBUTING.md shows how to add one.

use serde::{Deserialize, Serialize};

use crate::config::check::{check_below_one, check_non_negative};
use crate::config::rule::Rule;
use crate::error::Error;

/// The update rule of a [`Config`](crate::Config).
///
/// In the equations, `g` is the gradient after loss scaling, clipping, `maximize` and coupled decay. `m_hat` and
/// `v_hat` are `m / (1 - beta1^t)` and `v / (1 - beta2^t)`, or `m` and `v` without
/// [`bias_correction`](crate::Config::bias_correction). Each rule computes an update `u`, and the parameter changes by
///
/// ```text
/// param = param - lr*u - lr*weight_decay*param    (last term: Decay::Decoupled only)
/// ```
///
/// A rule allocates only the state that it uses: Lion has no `v`, RMSProp without momentum no `m`, SGD without momentum
/// neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Variant {
    /// Adam, or AdamW with [`Decay::Decoupled`](crate::Decay::Decoupled).
    ///
    /// ```text
    /// m = beta1*m + (1 - beta1)*g
    /// v = beta2*v + (1 - beta2)*g*g
    /// u = m_hat / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// Source: Kingma & Ba 2015, Algorithm 1 (arXiv:1412.6980).
    #[default]
    Adam,
    /// AMSGrad: Adam with the maximum of all second moments so far.
    ///
    /// ```text
    /// v_max = max(v_max, v)                                   (of_corrected: max(v_max, v_hat))
    /// u     = m_hat / (sqrt(v_max / (1 - beta2^t) + eps_root) + eps)
    ///                                                         (of_corrected: sqrt(v_max + eps_root))
    /// ```
    ///
    /// Source: Reddi, Kale & Kumar 2018, "On the Convergence of Adam and Beyond", Algorithm 2 (arXiv:1904.09237), which
    /// has no bias correction.
    AmsGrad {
        /// Takes the maximum of `v_hat`, as optax does. PyTorch takes the maximum of `v`.
        of_corrected: bool,
    },
    /// AdaMax: Adam with the infinity norm. Does not use `eps_root`.
    ///
    /// ```text
    /// v = max(beta2*v, |g| + eps)
    /// u = m_hat / v
    /// ```
    ///
    /// Source: Kingma & Ba 2015, Algorithm 2, which has no `eps`. PyTorch and optax add it to `|g|`.
    AdaMax,
    /// NAdam: Adam with Nesterov's momentum.
    ///
    /// PyTorch's form, with `momentum_decay`:
    ///
    /// ```text
    /// mu(t) = beta1*(1 - 0.96^(t*momentum_decay)/2)
    /// u     = (mu(t+1)*m / (1 - mu(1)*..*mu(t+1)) + (1 - mu(t))*g / (1 - mu(1)*..*mu(t)))
    ///         / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// optax's form, without:
    ///
    /// ```text
    /// u = (beta1*m / (1 - beta1^(t+1)) + (1 - beta1)*g / (1 - beta1^t)) / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam".
    NAdam {
        /// The decay of the momentum schedule: finite and not negative. PyTorch's default is `Some(0.004)`; optax has
        /// none.
        momentum_decay: Option<f64>,
    },
    /// RAdam: Adam with a rectified learning rate. Needs `beta2` above 2/3.
    ///
    /// ```text
    /// rho_inf = 2/(1 - beta2) - 1
    /// rho     = rho_inf - 2*t*beta2^t/(1 - beta2^t)
    /// r       = sqrt((rho - 4)*(rho - 2)*rho_inf / ((rho_inf - 4)*(rho_inf - 2)*rho))
    /// u       = r*m_hat / (sqrt(v_hat + eps_root) + eps)  if rho > 5  else  m_hat
    /// ```
    ///
    /// Source: Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", Algorithm 2
    /// (arXiv:1908.03265).
    RAdam {
        /// Adds `eps` to `sqrt(v)` before bias correction, as PyTorch does. optax adds it to `sqrt(v_hat)`.
        eps_on_raw: bool,
    },
    /// AdaBelief: Adam with the variance around `m` instead of the second moment.
    ///
    /// ```text
    /// m = beta1*m + (1 - beta1)*g
    /// v = beta2*v + (1 - beta2)*(g - m)^2 + eps_root
    /// u = m_hat / (sqrt(v_hat) + eps)
    /// ```
    ///
    /// The paper and optax use `eps` = `eps_root` = 1e-16. `eps_root` must be at most `1e36*(1 - beta2)`. Source: Zhuang et al. 2020, "AdaBelief Optimizer", Algorithm
    /// 2 (arXiv:2010.07468).
    AdaBelief,
    /// LaProp: momentum of the normalized gradient, where Adam normalizes the momentum of the gradient.
    ///
    /// ```text
    /// v = beta2*v + (1 - beta2)*g*g
    /// m = beta1*m + (1 - beta1) * g / (sqrt(v_hat + eps_root) + eps)
    /// u = m_hat
    /// ```
    ///
    /// timm multiplies by `lr` before `m`, so that `m` keeps the rates of earlier steps. timm and the authors use `eps` =
    /// 1e-15. Source: Ziyin, Wang & Ueda 2020, "LaProp: Separating Momentum and Adaptivity in Adam", Algorithm 1
    /// (arXiv:2002.04839).
    LaProp,
    /// ADOPT: momentum of the gradient that is normalized by the second moment of earlier steps. Does not use `eps_root`
    /// and `bias_correction`.
    ///
    /// ```text
    /// if t == 1:
    ///     v = g*g                                             (param and m stay)
    /// else:
    ///     bound = (t - 1)^(1/4)
    ///     m = beta1*m + (1 - beta1) * clamp(g / max(sqrt(v), eps), -bound, bound)
    ///     v = beta2*v + (1 - beta2)*g*g
    ///     u = m
    /// ```
    ///
    /// The paper and optax use `beta2` = 0.9999 and `eps` = 1e-6, and optax this bound. timm's is (t - 1)^(1/3). Source:
    /// Taniguchi et al. 2024, "ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate", Algorithm 2
    /// (arXiv:2411.02853).
    Adopt,
    /// AdEMAMix: Adam with a second, slow average of the gradient, which is not corrected. It keeps `grad_avg` as well.
    ///
    /// ```text
    /// m        = beta1*m + (1 - beta1)*g
    /// grad_avg = beta3(t)*grad_avg + (1 - beta3(t))*g
    /// v        = beta2*v + (1 - beta2)*g*g
    /// u        = (m_hat + alpha(t)*grad_avg) / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// With w = min(t/warmup, 1), `alpha(t)` is `w*alpha`, and the life `-1/ln(beta3(t))` of the slow average grows linearly
    /// from that of `beta1` to that of `beta3`:
    ///
    /// ```text
    /// beta3(t) = min(beta3, exp(ln(beta1)*ln(beta3) / ((1 - w)*ln(beta3) + w*ln(beta1))))
    /// ```
    ///
    /// The paper has one warm-up for both, as long as the run. The authors' code and bitsandbytes have one for each; optax has
    /// schedules in their place. None of them has a warm-up by default. Source: Pagliardini, Ablin & Grangier 2024, "The
    /// AdEMAMix Optimizer: Better, Faster, Older", Algorithm 1 and Section 3 (arXiv:2409.03137).
    AdEmaMix {
        /// The decay rate of the slow average, above 0 and below 1. All named implementations have 0.9999.
        beta3: f64,
        /// The weight of the slow average: finite and not negative. The paper uses 4 to 10, bitsandbytes and optax 5.
        alpha: f64,
        /// The steps of the warm-up. 0 for none.
        warmup: u32,
    },
    /// LAMB: Adam whose step, with its decay, is as long as the parameters of the tensor times the learning rate.
    ///
    /// ```text
    /// r     = m_hat / (sqrt(v_hat + eps_root) + eps) + weight_decay*param   (decoupled forms of Decay)
    /// ratio = |param| / |r|                      (2-norms over the tensor; 1 if one is 0 or not finite)
    /// param = param - lr*ratio*r
    /// ```
    ///
    /// optax and the paper (Algorithm 2, with the identity for phi) do so, with `eps` = 1e-6. apex and bitsandbytes clip the
    /// gradients by their global norm first: use [`Clip::GlobalNorm`](crate::Clip::GlobalNorm). Source: You et al. 2020,
    /// "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (arXiv:1904.00962).
    Lamb,
    /// StableAdamW: AdamW that lowers the learning rate of a tensor if its gradients are larger than `v` predicts.
    ///
    /// ```text
    /// rms = sqrt(mean over the tensor of g*g / max(v_hat, eps^2))
    /// lr  = lr / max(1, rms)                     (in the step and in decoupled decay)
    /// u   = m_hat / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// Here `v_hat` has this step's gradient. Source: Wortsman et al. 2023, "Stable and low-precision training for large-scale
    /// vision-language models", Algorithm 2 (arXiv:2304.13013).
    Stable,
    /// Cautious AdamW: Adam that steps only the elements whose `m` and gradient have the same sign. Their steps are longer, to make up
    /// for the others.
    ///
    /// ```text
    /// k = 1 if m*g > 0 else 0
    /// u = k/max(mean of k over the tensor, 1e-3) * m_hat / (sqrt(v_hat + eps_root) + eps)
    /// ```
    ///
    /// The lower bound of the mean, 1e-3, is that of the authors' code and of timm. Not to be confused with
    /// [`Decay::Cautious`](crate::Decay::Cautious). Source: Liang et al. 2024, "Cautious Optimizers: Improving Training with
    /// One Line of Code", Algorithm 2 (arXiv:2411.16085).
    Cautious,
    /// Schedule-Free AdamW: each step moves `z`, and `x` is the weighted average of all `z`, in place of a falling learning rate.
    /// The parameters are `y`, a point between `x` and `z`, and the gradient is taken there. It keeps `z - y` in place of `m`.
    ///
    /// ```text
    /// v = beta2*v + (1 - beta2)*g*g
    /// d = g / (sqrt(v_hat + eps_root) + eps) + weight_decay*y            (Decay::Corrected: times lr/peak lr)
    /// c = lr_max^2 / (sum of lr_max^2 over the steps)                    (lr_max: the largest lr so far)
    /// y = (1 - c)*y + c*z - lr*(1 - beta1*(1 - c))*d
    /// z = z - lr*d
    /// x = y + (1 - 1/beta1)*(z - y)                                      (the average, for evaluation)
    /// ```
    ///
    /// [`Adam::eval_mode`](crate::Adam::eval_mode) makes the parameters `x`, and [`Adam::train_mode`](crate::Adam::train_mode)
    /// makes them `y` again. Use a constant rate, or a warm-up. `beta1` must be above 0; the authors use 0.9 to 0.98. Bounds of the
    /// parameters, cautious decay and tensors of rows are errors.
    ///
    /// The weights `lr_max^2` are the defaults of the authors' package (`weight_lr_power` 2, `r` 0) and of optax. Other
    /// weights are not offered. Source: Defazio et al. 2024, "The Road Less Scheduled", Algorithm 1 (arXiv:2405.15682), for the
    /// decay and the weights the package `schedulefree` 1.4.
    ScheduleFree,
    /// Lion: the sign of an interpolated momentum. Does not use `eps`, `eps_root` and `bias_correction`.
    ///
    /// ```text
    /// u = sign(beta1*m + (1 - beta1)*g)
    /// m = beta2*m + (1 - beta2)*g
    /// ```
    ///
    /// The paper and optax use `beta2` = 0.99. Source: Chen et al. 2023, "Symbolic Discovery of Optimization
    /// Algorithms", Algorithm 2 (arXiv:2302.06675).
    Lion,
    /// RMSProp. Does not use `beta1`; `beta2` is PyTorch's `alpha` (0.99) and optax's `decay` (0.9).
    ///
    /// ```text
    /// v = beta2*v + (1 - beta2)*g*g                           (centered: see below)
    /// d = g / (sqrt(v_hat + eps_root) + eps)
    /// m = momentum*m + d                                      (lr_in_momentum: m = momentum*m + lr*d, param = param - m)
    /// u = m                                                   (nesterov: u = d + momentum*m; no momentum: u = d)
    /// ```
    ///
    /// If `centered`, `v` is the variance of the gradient around its average:
    ///
    /// ```text
    /// before   = grad_avg
    /// grad_avg = beta2*grad_avg + (1 - beta2)*g
    /// v        = beta2*v + (1 - beta2)*(g - before)*(g - grad_avg)
    /// ```
    ///
    /// In exact arithmetic this is the `square_avg - grad_avg^2` of PyTorch and optax. They subtract, which loses the
    /// variance of nearly constant gradients to rounding: PyTorch's f32 may take the root of a negative number and
    /// return NaN. This `v` is never negative. If `grad_avg` is stored in bf16 or 8 bits, the square of its rounding
    /// error is added to `v`. As in exact arithmetic, constant gradients let `v` tend to 0, and the step to `lr*g/eps`:
    /// choose `eps` accordingly.
    ///
    /// Neither framework corrects the bias by default. With `bias_correction` and `centered`, optax corrects both
    /// averages before it subtracts, so that its first step divides by `eps` alone. Here `v_hat` is
    /// `v / (1 - beta2^t)`.
    ///
    /// Sources: Tieleman & Hinton 2012, lecture 6.5 of "Neural Networks for Machine Learning"; for `centered` Graves
    /// 2013, "Generating Sequences With Recurrent Neural Networks", section 4.2 (arXiv:1308.0850), and for the form of
    /// `v` Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares and Products".
    RmsProp {
        /// The momentum, in `[0, 1)`. With 0 there is no `m`.
        momentum: f64,
        /// Uses Nesterov's momentum, as optax's `nesterov`. Needs `momentum` above 0.
        nesterov: bool,
        /// Multiplies by `lr` before `m`, as optax does. A new learning rate then leaves the content of `m` as it is.
        lr_in_momentum: bool,
        /// The initial value of `v`, optax's `initial_scale`: finite and not negative.
        initial: f64,
        /// Divides by the root of the variance, as PyTorch's and optax's `centered`. Keeps `grad_avg` as well.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        centered: bool,
    },
    /// AdaGrad. Does not use `beta1`, `beta2` and `bias_correction`.
    ///
    /// ```text
    /// v = v + g*g
    /// u = g / (sqrt(v + eps_root) + eps) / (1 + (t - 1)*lr_decay)
    /// ```
    ///
    /// PyTorch has `eps` = 1e-10. optax has `eps_root` = 1e-7 and `initial` = 0.1. Source: Duchi, Hazan & Singer 2011,
    /// "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization".
    AdaGrad {
        /// PyTorch's `lr_decay`: finite and not negative.
        lr_decay: f64,
        /// The initial value of `v`: finite and not negative.
        initial: f64,
    },
    /// Stochastic gradient descent. Does not use `beta1`, `beta2`, `eps`, `eps_root` and `bias_correction`.
    ///
    /// ```text
    /// m = momentum*m + (1 - dampening)*g                      (first step: m = g)
    /// u = m                                                   (nesterov: u = g + momentum*m; no momentum: u = g)
    /// ```
    ///
    /// As in PyTorch, `m` does not contain the learning rate.
    Sgd {
        /// The momentum, in `[0, 1)`. With 0 there is no `m`.
        momentum: f64,
        /// PyTorch's `dampening`: finite and not negative. Needs `momentum` above 0, and must be 0 with `nesterov`.
        dampening: f64,
        /// Uses Nesterov's momentum. Needs `momentum` above 0.
        nesterov: bool,
    },
}

/// A field of a [`Config`](crate::Config) that not every variant uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Beta1,
    Beta2,
    Eps,
    EpsRoot,
    BiasCorrection,
}

impl Variant {
    /// Its name in error messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::AmsGrad { .. } => "AMSGrad",
            Self::AdaMax => "AdaMax",
            Self::NAdam { .. } => "NAdam",
            Self::RAdam { .. } => "RAdam",
            Self::AdaBelief => "AdaBelief",
            Self::LaProp => "LaProp",
            Self::Adopt => "ADOPT",
            Self::AdEmaMix { .. } => "AdEMAMix",
            Self::Lamb => "LAMB",
            Self::Stable => "StableAdamW",
            Self::Cautious => "Cautious AdamW",
            Self::ScheduleFree => "Schedule-Free AdamW",
            Self::Lion => "Lion",
            Self::RmsProp { .. } => "RMSProp",
            Self::AdaGrad { .. } => "AdaGrad",
            Self::Sgd { .. } => "SGD",
        }
    }

    /// The fields of a configuration that the variant does not use.
    pub(crate) fn unused(&self) -> &'static [Field] {
        match self {
            Self::AdaMax => &[Field::EpsRoot],
            Self::Adopt => &[Field::EpsRoot, Field::BiasCorrection],
            Self::Lion => &[Field::Eps, Field::EpsRoot, Field::BiasCorrection],
            Self::RmsProp { .. } => &[Field::Beta1],
            Self::AdaGrad { .. } => &[Field::Beta1, Field::Beta2, Field::BiasCorrection],
            Self::Sgd { .. } => &[Field::Beta1, Field::Beta2, Field::Eps, Field::EpsRoot, Field::BiasCorrection],
            _ => &[],
        }
    }

    pub(crate) fn rule(&self) -> Rule {
        match *self {
            Self::Adam | Self::RAdam { .. } => Rule::Adam,
            Self::AmsGrad { .. } => Rule::AmsGrad,
            Self::AdaMax => Rule::AdaMax,
            Self::NAdam { .. } => Rule::NAdam,
            Self::AdaBelief => Rule::AdaBelief,
            Self::LaProp => Rule::LaProp,
            Self::Adopt => Rule::Adopt,
            Self::AdEmaMix { .. } => Rule::AdEmaMix,
            Self::Lamb => Rule::Lamb,
            Self::Stable => Rule::Stable,
            Self::Cautious => Rule::Cautious,
            Self::ScheduleFree => Rule::ScheduleFree,
            Self::Lion => Rule::Lion,
            Self::RmsProp { momentum: 0.0, centered: false, .. } => Rule::RmsProp,
            Self::RmsProp { momentum: 0.0, .. } => Rule::RmsPropCentered,
            Self::RmsProp { centered: false, .. } => Rule::RmsPropMomentum,
            Self::RmsProp { .. } => Rule::RmsPropCenteredMomentum,
            Self::AdaGrad { .. } => Rule::AdaGrad,
            Self::Sgd { momentum: 0.0, .. } => Rule::Sgd,
            Self::Sgd { .. } => Rule::Momentum,
        }
    }

    /// What `v` begins with.
    pub(crate) fn initial(&self) -> f32 {
        match *self {
            Self::RmsProp { initial, .. } | Self::AdaGrad { initial, .. } => initial as f32,
            _ => 0.0,
        }
    }

    pub(crate) fn validate(&self, group: usize, beta2: f64, eps_root: f64) -> Result<(), Error> {
        match *self {
            Self::NAdam { momentum_decay: Some(decay) } => check_non_negative(group, "momentum_decay", decay),
            Self::AdaBelief if eps_root > 1e36 * (1.0 - beta2) => {
                // Its sum over all steps must be finite.
                Err(Error::Config {
                    group,
                    field: "eps_root",
                    given: eps_root,
                    need: "at most 1e36*(1 - beta2) for AdaBelief",
                })
            }
            Self::RAdam { .. } if beta2 <= 2.0 / 3.0 => {
                Err(Error::Config { group, field: "beta2", given: beta2, need: "above 2/3 for RAdam" })
            }
            Self::AdEmaMix { beta3, alpha, .. } => {
                if !(beta3 > 0.0 && beta3 < 1.0) {
                    return Err(Error::Config { group, field: "beta3", given: beta3, need: "above 0 and below 1" });
                }
                check_non_negative(group, "alpha", alpha)
            }
            Self::RmsProp { momentum, nesterov, initial, .. } => {
                check_below_one(group, "momentum", momentum)?;
                check_momentum(group, momentum, nesterov, "above 0 with nesterov")?;
                check_non_negative(group, "initial", initial)
            }
            Self::AdaGrad { lr_decay, initial } => {
                check_non_negative(group, "lr_decay", lr_decay)?;
                check_non_negative(group, "initial", initial)
            }
            Self::Sgd { momentum, dampening, nesterov } => {
                check_below_one(group, "momentum", momentum)?;
                check_non_negative(group, "dampening", dampening)?;
                check_momentum(group, momentum, nesterov, "above 0 with nesterov")?;
                check_momentum(group, momentum, dampening != 0.0, "above 0 with dampening")?;
                if nesterov && dampening != 0.0 {
                    let need = "0 with nesterov";
                    return Err(Error::Config { group, field: "dampening", given: dampening, need });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What only momentum uses is an error without it.
fn check_momentum(group: usize, momentum: f64, needed: bool, need: &'static str) -> Result<(), Error> {
    if needed && momentum == 0.0 {
        return Err(Error::Config { group, field: "momentum", given: momentum, need });
    }
    Ok(())
}
