//! Learning rate schedules: functions of the group's own steps, evaluated on the device.

use std::f64::consts::PI;

// Not std's: these functions are the same code, and so give the same bits, on every platform.
use libm::{cos, pow};
use serde::{Deserialize, Serialize};

use crate::config::check::check_non_negative;
use crate::error::Error;

/// The course of a [`Group`](crate::Group)'s learning rate: a factor for each step `t`.
///
/// ```text
/// lr(t) = config.lr * schedule.factor(t)
/// ```
///
/// `t` counts the applied steps of the group, from 1. A skipped step does not advance it. The equations of the variants
/// use `n = t - 1`, the number of steps before this one, which is PyTorch's `last_epoch` and optax's `count`.
///
/// The host compiles the schedule to a list of curves, and the device evaluates it, so that any number of steps fit in
/// one submission. [`set_lr`](crate::Adam::set_lr) changes `config.lr` and not the schedule;
/// [`set_schedule`](crate::Adam::set_schedule) replaces the schedule. The result has the same bits on every driver and
/// on the CPU. It differs from [`factor`](Self::factor), which is computed in f64, by at most 2e-7 of the largest
/// factor, for every `t`.
///
/// | here | `torch.optim.lr_scheduler` | optax |
/// |---|---|---|
/// | `Linear` | `LinearLR` | `linear_schedule` |
/// | `Cosine` | `CosineAnnealingLR`, which rises again after `T_max`: here it stays at `to` | `cosine_decay_schedule` |
/// | `CosineRestarts` | `CosineAnnealingWarmRestarts` | joined `cosine_decay_schedule`s |
/// | `Exponential` | `ExponentialLR` (`every` 1) | `exponential_decay` |
/// | `Step` | `StepLR` | `exponential_decay(staircase=True)` |
/// | `Polynomial` | `PolynomialLR` | `polynomial_schedule` |
/// | `OneCycle` | `OneCycleLR` | `cosine_onecycle_schedule` |
/// | `Sequence` | `SequentialLR`; `MultiStepLR`, of constants | `join_schedules`; `piecewise_constant_schedule` |
/// | `Table` | `LambdaLR` | any function |
///
/// optax's schedules are learning rates and not factors: use them with `lr` = 1. PyTorch's `eta_min` and `max_lr` are
/// learning rates: divide them by the group's `lr`.
///
/// All factors must be from 0 to 1e6.
///
/// ```
/// use wgpu_adam::Schedule;
/// let schedule = Schedule::Cosine { from: 1.0, to: 0.1, steps: 9_000 }.with_warm_up(1_000);
/// assert_eq!(schedule.factor(1), 0.001);
/// assert_eq!(schedule.factor(1_000), 1.0);
/// assert!((schedule.factor(5_501) - 0.55).abs() < 1e-12);
/// assert_eq!(schedule.factor(1_000_000), 0.1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// A constant factor. Default: 1.
    Constant(f64),
    /// A linear warm-up: `min(1, (n + 1) / steps)`.
    ///
    /// The factor is 1 at `t` = `steps`, and not 0 at `t` = 1, where a step of size 0 would be wasted. optax's and
    /// Hugging Face's warm-ups start from 0: use [`Linear`](Self::Linear) for these. Source: Ma & Yarats 2019, "On the
    /// adequacy of untuned warmup for adaptive optimization" (arXiv:1910.04209), which proposes `steps` = 2 / (1 -
    /// beta2) for Adam.
    WarmUp {
        /// The step at which the factor reaches 1: at least 1.
        steps: u32,
    },
    /// A straight line: `from + (to - from) * min(n, steps) / steps`.
    Linear {
        /// The factor of the first step.
        from: f64,
        /// The factor after `steps` steps and from then on.
        to: f64,
        /// The length in steps: at least 1.
        steps: u32,
    },
    /// Cosine annealing: `to + (from - to) * (1 + cos(pi * min(n, steps) / steps)) / 2`.
    ///
    /// Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts" (arXiv:1608.03983).
    Cosine {
        /// The factor of the first step.
        from: f64,
        /// The factor after `steps` steps and from then on.
        to: f64,
        /// The length in steps: at least 1.
        steps: u32,
    },
    /// Cosine annealing with warm restarts: [`Cosine`](Self::Cosine) repeated, each cycle `growth` times as long as the
    /// one before. The factor does not reach `to`. Source: as for `Cosine`.
    CosineRestarts {
        /// The factor of the first step and of each restart.
        from: f64,
        /// The factor that each cycle falls towards.
        to: f64,
        /// The length of the first cycle in steps, PyTorch's `T_0`: at least 1.
        steps: u32,
        /// The growth of the cycles, PyTorch's `T_mult`: at least 1.
        growth: u32,
    },
    /// Exponential decay: `rate^(n / every)`.
    Exponential {
        /// The factor over `every` steps: above 0 and at most 1.
        rate: f64,
        /// The number of steps over which the factor falls by `rate`: at least 1.
        every: u32,
    },
    /// Decay in steps: `rate^floor(n / every)`.
    Step {
        /// The factor of each fall: above 0 and at most 1.
        rate: f64,
        /// The number of steps between two falls: at least 1.
        every: u32,
    },
    /// Polynomial decay: `to + (from - to) * (1 - min(n, steps) / steps)^power`.
    Polynomial {
        /// The factor of the first step.
        from: f64,
        /// The factor after `steps` steps and from then on.
        to: f64,
        /// The exponent: above 0 and below 64.
        power: f64,
        /// The length in steps: at least 1.
        steps: u32,
    },
    /// One cycle: up to 1 along a cosine, then down along another.
    ///
    /// ```text
    /// n <= up:  1 + (from - 1) * (1 + cos(pi * n / up)) / 2
    /// after:    to + (1 - to) * (1 + cos(pi * min(n - up, down) / down)) / 2
    /// ```
    ///
    /// optax's `cosine_onecycle_schedule(steps)` is `up` = 0.3*steps, `down` = 0.7*steps, `from` = 1/25 and `to` =
    /// 1/25e4. PyTorch's `OneCycleLR(total_steps)` peaks one step earlier, with `up` = 0.3*total_steps - 1, which may
    /// lie between two steps there, and `down` = 0.7*total_steps.
    ///
    /// Source: Smith & Topin 2018, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    /// Rates" (arXiv:1708.07120), which has straight lines: a [`Sequence`](Self::Sequence) of [`Linear`](Self::Linear).
    OneCycle {
        /// The factor of the first step.
        from: f64,
        /// The factor at the end and from then on.
        to: f64,
        /// The number of steps up to the peak: at least 1.
        up: u32,
        /// The number of steps down from the peak: at least 1.
        down: u32,
    },
    /// Inverse square root decay: `1 / sqrt(1 + n / timescale)`.
    ///
    /// With `timescale` = 1 it is `1 / sqrt(t)` of Kingma & Ba 2015, section 4. After a warm-up of `timescale` steps it
    /// is the schedule of Vaswani et al. 2017, "Attention Is All You Need" (arXiv:1706.03762).
    InverseSqrt {
        /// The time scale in steps: at least 1.
        timescale: u32,
    },
    /// Schedules in sequence, each with the `n` at which it takes over from the one before. Each counts its own `n`
    /// from there. The first must begin at 0, and each later one after the one before it.
    Sequence(Vec<(u32, Schedule)>),
    /// Any function, as a table: `values[k]` at `n = k*every`. The last value holds from then on.
    ///
    /// With `every` = 1, a function of `t` becomes `(1..=steps).map(function).collect()`.
    Table {
        /// The factors: at least one. Each takes 48 bytes on the device.
        values: Vec<f64>,
        /// The number of steps from one value to the next: at least 1.
        every: u32,
        /// Interpolates linearly between two values. Otherwise the earlier one holds.
        interpolate: bool,
    },
}

/// A constant factor of 1.
impl Default for Schedule {
    fn default() -> Self {
        Self::Constant(1.0)
    }
}

/// From `from` at x = 0 to `to` at x = 1 by half a cosine.
pub(crate) fn half_cosine(from: f64, to: f64, x: f64) -> f64 {
    if x == 1.0 { to } else { to + (from - to) * (0.5 + 0.5 * cos(PI * x)) }
}

/// A factor must not exceed it: far beyond all use, and its product with a rate is still far from f32's end.
const LARGEST: f64 = 1e6;

impl Schedule {
    /// Puts a [`WarmUp`](Self::WarmUp) of `steps` steps before this schedule.
    #[must_use]
    pub fn with_warm_up(self, steps: u32) -> Self {
        Self::Sequence(vec![(0, Self::WarmUp { steps }), (steps, self)])
    }

    /// Returns the factor of step `t`, counted from 1, in f64. 0 counts as 1.
    pub fn factor(&self, t: u32) -> f64 {
        self.after(u64::from(t.max(1) - 1))
    }

    /// The factor after `n` steps.
    pub(crate) fn after(&self, n: u64) -> f64 {
        // The part of `steps` that is gone.
        let part = |n: u64, steps: u32| (n as f64 / f64::from(steps)).min(1.0);
        match *self {
            Self::Constant(factor) => factor,
            Self::WarmUp { steps } => part(n + 1, steps),
            Self::Linear { from, to, steps } => {
                let x = part(n, steps);
                from * (1.0 - x) + to * x
            }
            Self::Cosine { from, to, steps } => half_cosine(from, to, part(n, steps)),
            Self::CosineRestarts { from, to, steps, growth: 1 } => {
                half_cosine(from, to, part(n % u64::from(steps), steps))
            }
            Self::CosineRestarts { from, to, steps, growth } => {
                let (mut n, mut length) = (n, u64::from(steps));
                while n >= length {
                    n -= length;
                    length *= u64::from(growth);
                }
                half_cosine(from, to, n as f64 / length as f64)
            }
            Self::Exponential { rate, every } => pow(rate, n as f64 / f64::from(every)),
            Self::Step { rate, every } => pow(rate, (n / u64::from(every)) as f64),
            Self::Polynomial { from, to, power, steps } => to + (from - to) * pow(1.0 - part(n, steps), power),
            Self::OneCycle { from, up, .. } if n < u64::from(up) => half_cosine(from, 1.0, part(n, up)),
            Self::OneCycle { to, up, down, .. } => half_cosine(1.0, to, part(n - u64::from(up), down)),
            Self::InverseSqrt { timescale } => 1.0 / (1.0 + n as f64 / f64::from(timescale)).sqrt(),
            Self::Sequence(ref parts) => {
                let begun = parts.partition_point(|(begin, _)| u64::from(*begin) <= n);
                parts[..begun].last().map_or(1.0, |(begin, schedule)| schedule.after(n - u64::from(*begin)))
            }
            Self::Table { ref values, every, interpolate } => {
                let (at, rest) = (n / u64::from(every), n % u64::from(every));
                let last = values.len() - 1;
                let at = usize::try_from(at).map_or(last, |at| at.min(last));
                if !interpolate || at == last {
                    return values[at];
                }
                values[at] + (values[at + 1] - values[at]) * part(rest, every)
            }
        }
    }

    /// An upper bound of all factors.
    pub(crate) fn peak(&self) -> f64 {
        match self {
            Self::Constant(factor) => *factor,
            Self::Linear { from, to, .. }
            | Self::Cosine { from, to, .. }
            | Self::CosineRestarts { from, to, .. }
            | Self::Polynomial { from, to, .. } => from.max(*to),
            Self::OneCycle { from, to, .. } => from.max(*to).max(1.0),
            Self::WarmUp { .. } | Self::Exponential { .. } | Self::Step { .. } | Self::InverseSqrt { .. } => 1.0,
            Self::Sequence(parts) => parts.iter().map(|(_, schedule)| schedule.peak()).fold(0.0, f64::max),
            Self::Table { values, .. } => values.iter().copied().fold(0.0, f64::max),
        }
    }

    /// A learning rate that stays finite with the largest factor.
    pub(crate) fn check_lr(&self, group: usize, lr: f64) -> Result<(), Error> {
        check_non_negative(group, "lr", lr)?;
        check_non_negative(group, "lr times the schedule's largest factor", lr * self.peak())
    }

    pub(crate) fn validate(&self, group: usize) -> Result<(), Error> {
        self.validate_at(group, "schedule")
    }

    /// Checks every value, in the order of the fields; `at` is the way to this schedule, for the message.
    fn validate_at(&self, group: usize, at: &str) -> Result<(), Error> {
        let error = |field: &str, given: f64, need: &'static str| {
            Err(Error::Schedule { group, field: format!("{at}{field}"), given, need })
        };
        let check = |field: &str, given: f64, right: bool, need: &'static str| {
            if right { Ok(()) } else { error(field, given, need) }
        };
        let factor =
            |field: &str, given: f64| check(field, given, (0.0..=LARGEST).contains(&given), "a number from 0 to 1e6");
        let count = |field: &str, given: u32| check(field, given.into(), given > 0, "at least 1");
        let rate = |given: f64| check(".rate", given, given > 0.0 && given <= 1.0, "above 0 and at most 1");
        match self {
            Self::Constant(given) => factor("", *given),
            Self::WarmUp { steps } => count(".steps", *steps),
            Self::Linear { from, to, steps } | Self::Cosine { from, to, steps } => {
                factor(".from", *from)?;
                factor(".to", *to)?;
                count(".steps", *steps)
            }
            Self::CosineRestarts { from, to, steps, growth } => {
                factor(".from", *from)?;
                factor(".to", *to)?;
                count(".steps", *steps)?;
                count(".growth", *growth)
            }
            Self::Exponential { rate: given, every } | Self::Step { rate: given, every } => {
                rate(*given)?;
                count(".every", *every)
            }
            Self::Polynomial { from, to, power, steps } => {
                factor(".from", *from)?;
                factor(".to", *to)?;
                check(".power", *power, *power > 0.0 && *power < 64.0, "above 0 and below 64")?;
                count(".steps", *steps)
            }
            Self::OneCycle { from, to, up, down } => {
                factor(".from", *from)?;
                factor(".to", *to)?;
                count(".up", *up)?;
                count(".down", *down)
            }
            Self::InverseSqrt { timescale } => count(".timescale", *timescale),
            Self::Sequence(parts) => {
                check(" sequence's length", 0.0, !parts.is_empty(), "at least 1")?;
                let mut least = 0;
                for (i, (begin, schedule)) in parts.iter().enumerate() {
                    let given = f64::from(*begin);
                    match i {
                        0 => check("[0]'s beginning", given, *begin == 0, "0")?,
                        _ => check(&format!("[{i}]'s beginning"), given, *begin > least, "above the one before it")?,
                    }
                    least = *begin;
                    schedule.validate_at(group, &format!("{at}[{i}]"))?;
                }
                Ok(())
            }
            Self::Table { values, every, .. } => {
                check(" table's length", 0.0, !values.is_empty(), "at least 1")?;
                for (i, value) in values.iter().enumerate() {
                    factor(&format!(".values[{i}]"), *value)?;
                }
                count(".every", *every)
            }
        }
    }
}
