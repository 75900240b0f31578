//! Compares the scalars of the twin with float64, for every variant. `src/gpu/tests.rs` compares those of the device.

use crate::config::hyperparameters::{Config, Decay};
use crate::config::preset::{optax, pytorch, schedulefree};
use crate::config::variant::Variant;
use crate::tick::powers::Powers;
use crate::tick::scalars::{Decision, Scalars};
use crate::tick::settings::Settings;

/// The expected values of the fields of [`Scalars`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Want {
    m_coef: f64,
    g_coef: f64,
    v_coef: f64,
    max_coef: f64,
    eps: f64,
    eps_root: f64,
    m_gain: f64,
    decay: f64,
}

/// `1 - beta^t`, without cancellation.
fn correction(beta: f64, t: f64) -> f64 {
    -(t * beta.ln()).exp_m1()
}

/// `mu(t)` and `1 - mu(1)*..*mu(t)` of PyTorch's NAdam.
fn nadam(beta1: f64, momentum_decay: f64, t: u32) -> (f64, f64) {
    let mu = |t: u32| beta1 * (1.0 - 0.5 * 0.96f64.powf(f64::from(t) * momentum_decay));
    let mut product = 1.0;
    for t in 1..=t {
        product *= mu(t);
        if product < 1e-30 {
            break;
        }
    }
    (mu(t), 1.0 - product)
}

/// The rectification of RAdam's step, or `None` if rho is not above 5.
fn rectification(beta2: f64, t: f64) -> Option<f64> {
    let rho_inf = 2.0 / (1.0 - beta2) - 1.0;
    let rho = rho_inf - 2.0 * t * (t * beta2.ln()).exp() / correction(beta2, t);
    let squared = (rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
    (rho > 5.0).then(|| squared.sqrt())
}

fn want(config: &Config, t: u32) -> Want {
    let Config { lr, beta1, beta2, eps, eps_root, .. } = *config;
    let steps = f64::from(t);
    let corrected = |x: f64| if config.bias_correction { x } else { 1.0 };
    let c1 = corrected(correction(beta1, steps));
    let c2 = corrected(correction(beta2, steps));
    let decay = if let Decay::Decoupled(weight_decay) = config.decay { lr * weight_decay } else { 0.0 };
    let adam = Want {
        m_coef: lr / c1,
        g_coef: 0.0,
        v_coef: 1.0 / c2.sqrt(),
        max_coef: 1.0,
        eps,
        eps_root: eps_root * c2,
        m_gain: 1.0,
        decay,
    };
    match config.variant {
        Variant::Adam
        | Variant::AdaMax
        | Variant::LaProp
        | Variant::AmsGrad { of_corrected: false }
        | Variant::Lamb
        | Variant::Stable
        | Variant::Cautious => adam,
        Variant::AmsGrad { of_corrected: true } => Want { max_coef: 1.0 / c2, v_coef: 1.0, eps_root, ..adam },
        Variant::AdaBelief => Want { eps_root, ..adam },
        Variant::NAdam { momentum_decay: Some(momentum_decay) } => {
            let (mu, now) = nadam(beta1, momentum_decay, t);
            let (mu_next, next) = nadam(beta1, momentum_decay, t + 1);
            let m_coef = lr * mu_next / corrected(next);
            let g_coef = lr * (1.0 - mu) / corrected(now);
            Want { m_coef, g_coef, ..adam }
        }
        Variant::NAdam { momentum_decay: None } => {
            let next = corrected(correction(beta1, steps + 1.0));
            Want { m_coef: lr * beta1 / next, g_coef: lr * (1.0 - beta1) / c1, ..adam }
        }
        Variant::RAdam { eps_on_raw } => match rectification(beta2, steps) {
            Some(rectification) if eps_on_raw => {
                Want { m_coef: lr / c1 * rectification * c2.sqrt(), v_coef: 1.0, ..adam }
            }
            Some(rectification) => Want { m_coef: lr / c1 * rectification, ..adam },
            None => Want { v_coef: 0.0, eps: 1.0, ..adam },
        },
        Variant::ScheduleFree => {
            let m_coef = lr * (1.0 - beta1 * (1.0 - 1.0 / steps));
            Want { m_coef, m_gain: lr * beta1, decay: 0.0, ..adam }
        }
        Variant::Lion | Variant::Adopt => Want { m_coef: lr, ..adam },
        Variant::AdEmaMix { alpha, warmup, .. } => {
            let done = if warmup > 0 { (steps / f64::from(warmup)).min(1.0) } else { 1.0 };
            Want { g_coef: lr * alpha * done, ..adam }
        }
        Variant::RmsProp { momentum, nesterov, lr_in_momentum, .. } => {
            // m is an average instead of a sum, so 1/(1 - momentum) times as much goes into it.
            let (inside, outside) = if lr_in_momentum && momentum != 0.0 { (lr, 1.0) } else { (1.0, lr) };
            let (m_coef, g_coef) = if nesterov { (outside * momentum, lr) } else { (outside, 0.0) };
            Want { m_coef, g_coef, m_gain: inside / (1.0 - momentum), ..adam }
        }
        Variant::AdaGrad { lr_decay, .. } => {
            Want { m_coef: lr / (1.0 + (steps - 1.0) * lr_decay), v_coef: 1.0, eps_root, ..adam }
        }
        Variant::Sgd { momentum, dampening, nesterov } => {
            let (m_coef, g_coef) = if nesterov { (lr * momentum, lr) } else { (lr, 0.0) };
            let dampening = if t == 1 { 0.0 } else { dampening };
            Want { m_coef, g_coef, m_gain: (1.0 - dampening) / (1.0 - momentum), ..adam }
        }
    }
}

/// One configuration of each convention, with several betas if it depends on them.
pub fn configs() -> Vec<Config> {
    let rmsprop = |momentum, nesterov, lr_in_momentum| Config {
        variant: Variant::RmsProp { momentum, nesterov, lr_in_momentum, initial: 0.0, centered: false },
        ..pytorch::rmsprop()
    };
    let sgd = |momentum, dampening, nesterov| Config {
        variant: Variant::Sgd { momentum, dampening, nesterov },
        ..pytorch::sgd()
    };
    let adagrad = |lr_decay| Config { variant: Variant::AdaGrad { lr_decay, initial: 0.1 }, ..optax::adagrad() };
    let nadam = |decay| Config { variant: Variant::NAdam { momentum_decay: Some(decay) }, ..pytorch::nadam() };
    let of_betas = [
        pytorch::adam(),
        pytorch::amsgrad(),
        optax::amsgrad(),
        pytorch::adamax(),
        pytorch::nadam(),
        nadam(0.1),
        nadam(0.0),
        optax::nadam(),
        pytorch::radam(),
        optax::radam(),
        optax::adabelief(),
    ];
    let betas = [(0.9, 0.999), (0.0, 0.9), (0.5, 0.99), (0.99, 0.9999), (0.999, 0.99999), (0.9, 0.7)];
    let of_betas = of_betas.into_iter().flat_map(|config| {
        let eps_root = if config.variant == Variant::AdaMax { 0.0 } else { 1e-6 };
        betas.map(|(beta1, beta2)| Config { beta1, beta2, eps_root, decay: Decay::Decoupled(0.03), ..config })
    });
    let others = [
        optax::adopt(),
        Config { variant: Variant::AdEmaMix { beta3: 0.9999, alpha: 5.0, warmup: 1000 }, ..optax::ademamix() },
        schedulefree::adamw(),
        Config { beta1: 0.2, beta2: 0.9, decay: Decay::Decoupled(0.1), ..schedulefree::adamw() },
        optax::lion(),
        rmsprop(0.0, false, false),
        rmsprop(0.9, false, false),
        rmsprop(0.9, false, true),
        rmsprop(0.9, true, true),
        Config { bias_correction: true, ..rmsprop(0.3, true, false) },
        Config { bias_correction: true, eps_root: 1e-3, ..optax::rmsprop() },
        pytorch::adagrad(),
        adagrad(0.01),
        adagrad(1e-9),
        sgd(0.0, 0.0, false),
        sgd(0.9, 0.5, false),
        sgd(0.99, 0.0, true),
    ];
    let uncorrected = |config: Config| Config { bias_correction: false, ..config };
    let both = of_betas.chain(others).flat_map(|config| [config.clone(), uncorrected(config)]);
    // Some variants have no bias correction.
    both.filter(|config| config.validate(0).is_ok()).collect()
}

/// Returns the largest relative error. A few roundings of 2^-24 are allowed, and `more`.
pub fn check(config: &Config, t: u32, got: &Scalars, more: f64) -> f64 {
    let allowed = more + if let Variant::RAdam { .. } | Variant::ScheduleFree = config.variant { 4e-7 } else { 2.1e-7 };
    let want = want(config, t);
    let pairs = [
        ("m_coef", got.m_coef, want.m_coef),
        ("g_coef", got.g_coef, want.g_coef),
        ("v_coef", got.v_coef, want.v_coef),
        ("max_coef", got.max_coef, want.max_coef),
        ("eps", got.eps, want.eps),
        ("eps_root", got.eps_root, want.eps_root),
        ("m_gain", got.m_gain, want.m_gain),
        ("decay", got.decay, want.decay),
    ];
    let mut worst: f64 = 0.0;
    for (name, got, want) in pairs {
        let error = if want == 0.0 { f64::from(got).abs() } else { (f64::from(got) / want - 1.0).abs() };
        assert!(error <= allowed, "{config:?}, t {t}: {name} is {got:e} for {want:e}, off by {error:.2e}");
        worst = worst.max(error);
    }
    worst
}

pub const FAR: [u32; 5] = [1_000_000, (1 << 24) + 1, 30_000_001, 1_000_000_000, 4_000_000_000];

/// The rate of AdEMAMix's slow average is that of the paper's schedule.
#[test]
fn the_slow_rate_is_within_5e_7_of_float64() {
    for (beta1, beta3, warmup) in [(0.9, 0.9999, 1000), (0.0, 0.9999, 100_000), (0.5, 0.99, 7), (0.99, 0.9, 50)] {
        let config = Config { beta1, variant: Variant::AdEmaMix { beta3, alpha: 5.0, warmup }, ..Config::default() };
        let settings = Settings::new(&config);
        for t in [1, 2, 5, warmup / 2, warmup - 1, warmup, 3 * warmup] {
            let done = (f64::from(t) / f64::from(warmup)).min(1.0);
            let inverse = |beta: f64| if beta > 0.0 { 1.0 / beta.ln() } else { 0.0 };
            let logarithm = 1.0 / ((1.0 - done) * inverse(beta1) + done * inverse(beta3));
            let want = -logarithm.min(beta3.ln()).exp_m1();
            let want = if logarithm > beta3.ln() { 1.0 - beta3 } else { want };
            let got = Scalars::new(&settings, &Powers::default(), t, 1e-3, &Decision::PLAIN).slow_rate;
            assert!((f64::from(got) / want - 1.0).abs() < 5e-7, "{got} for {want}: {config:?}, {t}");
        }
    }
}

/// The weights of Schedule-Free over a warm-up and a decay, and far into a run.
#[test]
fn the_newest_weight_is_within_5e_7_of_float64() {
    let settings = Settings::new(&schedulefree::adamw());
    let rate = |t: u32| settings.lr * (t as f32 / 300.0).min(1.0) * if t > 2000 { 0.1 } else { 1.0 };
    let (mut powers, mut sum, mut largest) = (Powers::default(), 0.0, 0.0f64);
    for t in 0..5000 {
        powers.advance(&settings, t, rate(t));
        largest = largest.max(rate(t).into());
        sum += largest * largest;
        let want = if sum > 0.0 { largest * largest / sum } else { 0.0 };
        let got = f64::from(powers.newest_weight());
        assert!((got - want).abs() <= 5e-7 * want, "{got} for {want}: step {t}");
    }
    for t in FAR {
        let got = f64::from(Powers::at(t, &settings).newest_weight());
        assert!((got * f64::from(t) - 1.0).abs() < 2e-7, "{got}: step {t}");
    }
}

#[test]
fn the_scalars_of_the_twin_are_within_4e_7_of_float64() {
    for config in configs() {
        let settings = Settings::new(&config);
        let scalars = |powers: &Powers, t| Scalars::new(&settings, powers, t, settings.lr, &Decision::PLAIN);
        let mut worst: f64 = 0.0;
        let mut powers = Powers::default();
        for t in 1..=20_000 {
            powers.advance(&settings, t - 1, settings.lr);
            worst = worst.max(check(&config, t, &scalars(&powers, t), 0.0));
        }
        for t in FAR {
            worst = worst.max(check(&config, t, &scalars(&Powers::at(t, &settings), t), 0.0));
        }
        let Config { variant, beta1, beta2, bias_correction, .. } = config;
        println!("{worst:.2e}  {variant:?}, betas {beta1} {beta2}, corrected: {bias_correction}");
    }
}
