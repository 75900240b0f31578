//! Schedules as the device has them: lists of quadratic Bézier curves. The host fits them in float64 to each schedule's
//! definition. It uses basic arithmetic, `sqrt` and `libm`, so the curves are the same on every platform.

use crate::config::hyperparameters::Config;
use crate::config::schedule::{Schedule, half_cosine};
use crate::num::fixed::fixed;
use crate::num::mirror::mirror;
use crate::tick::settings::Settings;

mirror! {
    /// A quadratic Bézier curve of the learning rate's factor over some steps. `schedule.wgsl` explains the fields.
    pub(crate) struct Curve {
        pub step: u64,
        pub start: u64,
        pub middle: u64,
        pub end: u64,
        pub first: u32,
        pub every: u32,
        pub period: u32,
        pub pad: u32,
    }
}

/// The last `t` that can be counted, which is one more than the largest `n`.
const LAST_STEP: u64 = u32::MAX as u64;

/// The settings of the clocks of these groups, and the curves of their schedules. Equal schedules share their curves.
pub(crate) fn compile<'a>(
    groups: impl Iterator<Item = (&'a Config, &'a Schedule)>,
    clocks: &[usize],
) -> (Vec<Settings>, Vec<Curve>) {
    let mut curves = Vec::new();
    let mut compiled: Vec<(&Schedule, Settings)> = Vec::new();
    for (config, schedule) in groups {
        let mut settings = Settings::new(config);
        if let Some((_, other)) = compiled.iter().find(|(other, _)| *other == schedule) {
            settings = *other;
            settings.reconfigure(config);
        } else if *schedule != Schedule::Constant(1.0) {
            let unit = unit(schedule.peak());
            settings.schedule_unit = unit as f32;
            settings.inverse_peak = if schedule.peak() > 0.0 { (1.0 / schedule.peak()) as f32 } else { 0.0 };
            settings.first_curve = curves.len() as u32;
            Compiler { curves: &mut curves, unit, first: 0, end: LAST_STEP }.add(schedule);
            settings.curves = curves.len() as u32 - settings.first_curve;
        }
        compiled.push((schedule, settings));
    }
    (clocks.iter().map(|&group| compiled[group].1).collect(), curves)
}

/// The least power of two that no factor exceeds, but at least 2^-60. Scaling by it is exact.
fn unit(peak: f64) -> f64 {
    let mut unit = 2f64.powi(-60);
    while unit < peak {
        unit *= 2.0;
    }
    unit
}

/// 1 / n in units of 2^-64, truncated.
fn reciprocal(n: u64) -> u64 {
    u64::try_from((1u128 << 64) / u128::from(n)).unwrap_or(u64::MAX)
}

/// The largest error of a curve at the steps where it is checked, relative to the largest factor of the whole call of
/// `fit`. The rest of 2e-7 is for the three roundings to f32, of the rate, of the factor and of their product.
const TOLERANCE: f64 = 1.0 / (1 << 27) as f64;

/// Appends the curves of a schedule that runs from step `first` of the whole run up to step `end`. Its methods count
/// steps from `first`.
struct Compiler<'a> {
    curves: &'a mut Vec<Curve>,
    unit: f64,
    first: u64,
    end: u64,
}

impl Compiler<'_> {
    fn add(&mut self, schedule: &Schedule) {
        let f = |n: u64| schedule.after(n);
        match *schedule {
            Schedule::Constant(_) => self.hold(0, f),
            Schedule::WarmUp { steps } => {
                self.fit(0, u64::from(steps) - 1, f);
                self.hold(u64::from(steps) - 1, f);
            }
            Schedule::Linear { steps, .. } | Schedule::Cosine { steps, .. } | Schedule::Polynomial { steps, .. } => {
                self.fit(0, steps.into(), f);
                self.hold(steps.into(), f);
            }
            Schedule::CosineRestarts { from, to, steps, growth } => {
                let (mut begin, mut length) = (0, u64::from(steps));
                while self.first + begin < self.end {
                    self.fit(begin, begin + length, |n| half_cosine(from, to, (n - begin) as f64 / length as f64));
                    begin += length;
                    if growth == 1 {
                        self.repeat(begin, steps);
                        break;
                    }
                    length *= u64::from(growth);
                }
            }
            Schedule::Exponential { .. } | Schedule::InverseSqrt { .. } => self.fit(0, LAST_STEP, f),
            Schedule::Step { every, .. } => self.fit_every(every, 0, LAST_STEP, &|k| f(k * u64::from(every))),
            Schedule::OneCycle { up, down, .. } => {
                let (up, down) = (u64::from(up), u64::from(down));
                self.fit(0, up, f);
                self.fit(up, up + down, f);
                self.hold(up + down, f);
            }
            Schedule::Sequence(ref parts) => {
                for (i, (begin, part)) in parts.iter().enumerate() {
                    let first = self.first + u64::from(*begin);
                    let next = parts.get(i + 1).map_or(LAST_STEP, |(next, _)| self.first + u64::from(*next));
                    let end = self.end.min(next);
                    Compiler { curves: &mut *self.curves, unit: self.unit, first, end }.add(part);
                }
            }
            Schedule::Table { ref values, every, interpolate } => {
                let last = values.len() as u64 - 1;
                for k in 0..last {
                    let n = k * u64::from(every);
                    if interpolate {
                        self.fit(n, n + u64::from(every), f);
                    } else {
                        self.hold(n, f);
                    }
                }
                self.hold(last * u64::from(every), f);
            }
        }
    }

    /// Holds the factor of step `n` until the next curve begins.
    fn hold(&mut self, n: u64, f: impl Fn(u64) -> f64) {
        self.fit(n, n + 1, f);
    }

    /// Fits curves to `f` from step `begin` to step `end`. There `f` must be smooth, and must only rise or only fall.
    fn fit(&mut self, begin: u64, end: u64, f: impl Fn(u64) -> f64) {
        self.fit_every(1, begin, end, &f);
    }

    /// Does the same for an `f` that changes only once in `every` steps: `begin`, `end` and its argument count changes.
    fn fit_every(&mut self, every: u32, begin: u64, end: u64, f: &dyn Fn(u64) -> f64) {
        let end = end.min(self.end.saturating_sub(self.first).div_ceil(every.into()));
        if begin < end {
            let tolerance = TOLERANCE * f(begin).max(f(end));
            self.split(every, begin, end, tolerance, f);
        }
    }

    /// Appends one curve if it is close enough, and otherwise the curves of both halves.
    fn split(&mut self, every: u32, begin: u64, end: u64, tolerance: f64, f: &dyn Fn(u64) -> f64) {
        let (length, half) = (end - begin, begin + (end - begin) / 2);
        let part = |n: u64| (n - begin) as f64 / length as f64;
        let curve = match length {
            1 => Bezier([f(begin); 3]),
            _ => Bezier::through(f(begin), f(half), f(end), part(half)),
        };
        // The third derivative of each law has one sign, so the error has one peak in each half. Between the eighths it
        // is hardly larger than at them.
        let is_close = |n: u64| (curve.at(part(n)) - f(n)).abs() <= tolerance;
        if length > 1 && !(1..8).all(|i| is_close(begin + length * i / 8)) {
            self.split(every, begin, half, tolerance, f);
            self.split(every, half, end, tolerance, f);
            return;
        }
        let [start, middle, end] = curve.0.map(|value| fixed(value / self.unit));
        let first = (self.first + begin * u64::from(every)) as u32;
        self.curves.push(Curve { step: reciprocal(length), start, middle, end, first, every, ..Curve::default() });
    }

    /// Repeats the `period` steps before step `n` from there on.
    fn repeat(&mut self, n: u64, period: u32) {
        if self.first + n < self.end {
            self.curves.push(Curve { first: (self.first + n) as u32, every: 1, period, ..Curve::default() });
        }
    }
}

/// The three control values of a quadratic Bézier curve.
struct Bezier([f64; 3]);

impl Bezier {
    /// The curve from `start` to `end` through `inner` at `x`. If that needs a middle outside the two ends, the middle
    /// is clamped and the curve misses `inner`. So every curve only rises or only falls, and integers cannot overflow.
    fn through(start: f64, inner: f64, end: f64, x: f64) -> Self {
        let middle = (inner - (1.0 - x) * (1.0 - x) * start - x * x * end) / (2.0 * x * (1.0 - x));
        Self([start, middle.max(start.min(end)).min(start.max(end)), end])
    }

    /// The value at `x`, by de Casteljau's algorithm.
    fn at(&self, x: f64) -> f64 {
        let [start, middle, end] = self.0;
        let between = |a: f64, b: f64| a + (b - a) * x;
        between(between(start, middle), between(middle, end))
    }
}
