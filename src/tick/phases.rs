//! A schedule as the device has it: phases, each with one law, in integers. `Phase` in `schedule.wgsl`.

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;
use crate::num::fixed::fixed;
use crate::num::fixed_math::{HALF_COSINE, LOG2, log2_of};
use crate::num::mirror::mirror;
use crate::tick::settings::Settings;

/// The law of a phase. The numbers are those of `schedule.wgsl`.
pub(crate) mod kind {
    pub const LINEAR: u32 = 0;
    pub const COSINE: u32 = 1;
    pub const POLYNOMIAL: u32 = 2;
    pub const EXPONENTIAL: u32 = 3;
    pub const ROOT: u32 = 4;
    pub const TABLE: u32 = 5;
    pub const HELD_TABLE: u32 = 6;
}

mirror! {
    /// A stretch of a schedule; the fields are explained in `schedule.wgsl`.
    #[derive(Eq)]
    pub(crate) struct Phase {
        pub step: u64,
        pub start: u64,
        pub end: u64,
        pub power: u64,
        pub first: u32,
        pub kind: u32,
        pub length: u32,
        pub repeats: u32,
        pub every: u32,
        pub begin: u32,
    }
}

/// The phases of all groups, one group after the other, and the values that they read: LOG2, HALF_COSINE, and the tables.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    pub phases: Vec<Phase>,
    pub values: Vec<u64>,
}

impl Default for Phases {
    fn default() -> Self {
        Self { phases: Vec::new(), values: [&LOG2[..], &HALF_COSINE].concat() }
    }
}

/// What is not given with a phase's law.
struct Law {
    kind: u32,
    from: f64,
    to: f64,
    power: u64,
    every: u32,
}

impl Law {
    fn new(kind: u32, from: f64, to: f64) -> Self {
        Self { kind, from, to, power: 0, every: 1 }
    }
}

/// Units of 2^-58, of a number below 64.
fn power(x: f64) -> u64 {
    (x * 2f64.powi(58)) as u64
}

/// 1 / n in units of 2^-64, truncated.
fn reciprocal(n: u64) -> u64 {
    u64::try_from((1u128 << 64) / u128::from(n)).unwrap_or(u64::MAX)
}

impl Phases {
    /// The settings of clocks of those groups, and the phases that they speak of.
    pub fn of<'a>(groups: impl Iterator<Item = (&'a Config, &'a Schedule)>, clocks: &[usize]) -> (Vec<Settings>, Self) {
        let mut all = Self::default();
        let settings = groups.map(|(config, schedule)| {
            let mut settings = Settings::new(config);
            all.add(schedule, &mut settings);
            settings
        });
        let settings: Vec<Settings> = settings.collect();
        (clocks.iter().map(|&group| settings[group]).collect(), all)
    }

    /// Appends a group's schedule and says in its settings where that is.
    fn add(&mut self, schedule: &Schedule, settings: &mut Settings) {
        if *schedule == Schedule::Constant(1.0) {
            return;
        }
        // A power of two, so that scaling is exact.
        let scale = 2f64.powi(schedule.peak().max(f64::MIN_POSITIVE).log2().ceil().max(-60.0) as i32);
        settings.scale = scale as f32;
        settings.first_phase = self.phases.len() as u32;
        self.list(schedule, 0, u64::MAX, scale);
        settings.phases = self.phases.len() as u32 - settings.first_phase;
    }

    /// The phases of a schedule that runs from step `first` up to `end`.
    fn list(&mut self, schedule: &Schedule, first: u64, end: u64, scale: f64) {
        // Steps are counted in u32: what begins later never does.
        let Ok(first32) = u32::try_from(first) else { return };
        let at_most = |steps: u64| u32::try_from(steps).unwrap_or(u32::MAX);
        let mut push = |first: u32, length: u64, repeats: bool, law: Law| {
            if u64::from(first) < end {
                self.phases.push(Phase {
                    step: reciprocal(length),
                    start: fixed(law.from / scale),
                    end: fixed(law.to / scale),
                    power: law.power,
                    first,
                    kind: law.kind,
                    // It may last longer than steps can be counted.
                    length: at_most(length),
                    repeats: repeats.into(),
                    every: law.every,
                    begin: 0,
                });
            }
        };
        let without_end = u64::MAX;
        match schedule {
            Schedule::Constant(factor) => push(first32, 1, false, Law::new(kind::LINEAR, *factor, *factor)),
            Schedule::WarmUp { steps } => {
                let from = 1.0 / f64::from(*steps);
                push(first32, u64::from(*steps - 1).max(1), false, Law::new(kind::LINEAR, from, 1.0));
            }
            Schedule::Linear { from, to, steps } => {
                push(first32, (*steps).into(), false, Law::new(kind::LINEAR, *from, *to));
            }
            Schedule::Cosine { from, to, steps } => {
                push(first32, (*steps).into(), false, Law::new(kind::COSINE, *from, *to));
            }
            Schedule::CosineRestarts { from, to, steps, growth } => {
                let (mut begin, mut length) = (first, u64::from(*steps));
                while begin < end.min(u64::from(u32::MAX)) {
                    push(at_most(begin), length, *growth == 1, Law::new(kind::COSINE, *from, *to));
                    if *growth == 1 {
                        break;
                    }
                    begin += length;
                    length *= u64::from(*growth);
                }
            }
            Schedule::Exponential { rate, every } => {
                let power = power(-rate.log2() / f64::from(*every));
                push(first32, without_end, false, Law { power, ..Law::new(kind::EXPONENTIAL, 1.0, 0.0) });
            }
            Schedule::Step { rate, every } => {
                let law = Law { power: power(-rate.log2()), every: *every, ..Law::new(kind::EXPONENTIAL, 1.0, 0.0) };
                push(first32, without_end, false, law);
            }
            Schedule::Polynomial { from, to, power: exponent, steps } => {
                push(
                    first32,
                    (*steps).into(),
                    false,
                    Law { power: power(*exponent), ..Law::new(kind::POLYNOMIAL, *from, *to) },
                );
            }
            Schedule::OneCycle { from, to, up, down } => {
                push(first32, (*up).into(), false, Law::new(kind::COSINE, *from, 1.0));
                if let Some(top) = first32.checked_add(*up) {
                    push(top, (*down).into(), false, Law::new(kind::COSINE, 1.0, *to));
                }
            }
            Schedule::InverseSqrt { timescale } => {
                let power = log2_of((*timescale).into());
                push(first32, without_end, false, Law { power, every: *timescale, ..Law::new(kind::ROOT, 1.0, 0.0) });
            }
            Schedule::Sequence(parts) => {
                for (i, (begin, part)) in parts.iter().enumerate() {
                    let next = parts.get(i + 1).map_or(end, |(next, _)| end.min(first + u64::from(*next)));
                    self.list(part, first + u64::from(*begin), next, scale);
                }
            }
            Schedule::Table { values, every, interpolate } if first < end => {
                self.phases.push(Phase {
                    step: reciprocal((*every).into()),
                    first: first32,
                    kind: if *interpolate { kind::TABLE } else { kind::HELD_TABLE },
                    length: at_most(values.len() as u64),
                    every: *every,
                    begin: at_most(self.values.len() as u64),
                    ..Phase::default()
                });
                self.values.extend(values.iter().map(|value| fixed(value / scale)));
            }
            Schedule::Table { .. } => {}
        }
    }
}
