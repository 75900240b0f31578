//! The learning rate's factor at step t. Twin of `schedule.wgsl`.

use crate::num::fixed::{fraction, product};
use crate::tick::curves::Curve;
use crate::tick::settings::Settings;

/// The last curve that has begun after n steps. The first begins at 0.
fn curve_at(curves: &[Curve], n: u32) -> &Curve {
    &curves[curves.partition_point(|curve| curve.first <= n) - 1]
}

/// The part x of the way from a to b.
fn between(a: u64, b: u64, x: u64) -> u64 {
    if a < b { a + product(b - a, x) } else { a - product(a - b, x) }
}

/// The factor after n steps, in units of 2^-64 of the schedule's unit.
pub(crate) fn value(curves: &[Curve], n: u32) -> u64 {
    let (mut n, mut curve) = (n, curve_at(curves, n));
    if curve.period != 0 {
        n = curve.first - curve.period + (n - curve.first) % curve.period;
        curve = curve_at(curves, n);
    }
    // A held curve may last for longer than its one step, but its control values are equal.
    let x = curve.step.wrapping_mul(((n - curve.first) / curve.every).into());
    between(between(curve.start, curve.middle, x), between(curve.middle, curve.end, x), x)
}

/// The factor at step t, the first of which is 1.
pub(super) fn factor(curves: &[Curve], s: &Settings, t: u32) -> f32 {
    if s.curves == 0 {
        return 1.0;
    }
    s.schedule_unit * fraction(value(&curves[s.first_curve as usize..][..s.curves as usize], t - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hyperparameters::Config;
    use crate::config::schedule::Schedule;
    use crate::tick::curves::compile;

    /// Relative to the largest factor. Three roundings to f32 add 3 * 2^-24 at most, so a rate is within 2e-7.
    const TOLERANCE: f64 = 2e-8;

    /// The number of curves, and the largest error at these steps relative to the largest factor.
    fn measure(schedule: &Schedule, steps: impl Iterator<Item = u32>) -> (usize, f64) {
        let (settings, curves) = compile([(&Config::default(), schedule)].into_iter(), &[0]);
        let unit = f64::from(settings[0].schedule_unit) / 2f64.powi(64);
        let error = |n: u32| (value(&curves, n) as f64 * unit - schedule.factor(n.saturating_add(1))).abs();
        (curves.len(), steps.map(error).fold(0.0, f64::max) / schedule.peak())
    }

    /// Each law with short, long and endless spans, rising and falling.
    fn schedules() -> Vec<Schedule> {
        use Schedule::*;
        let mut all = Vec::new();
        for steps in [1, 2, 3, 10, 37, 100, 1_000, 10_000, 1_000_000, 1_000_000_007, u32::MAX] {
            all.extend([WarmUp { steps }, Linear { from: 1.0, to: 0.3, steps }, InverseSqrt { timescale: steps }]);
            all.extend([Cosine { from: 1.0, to: 0.0, steps }, Cosine { from: 0.1, to: 1.7, steps }]);
            all.extend([1, 2, 3, 10].map(|growth| CosineRestarts { from: 1.0, to: 0.0, steps, growth }));
            all.push(OneCycle { from: 0.04, to: 4e-6, up: steps, down: steps });
            for rate in [1e-300, 0.1, 0.97, 0.9999, 1.0 - 1e-9] {
                all.extend([Exponential { rate, every: steps }, Step { rate, every: steps }]);
            }
            for power in [1e-3, 0.01, 0.1, 0.15, 0.5, 0.9, 1.5, 2.0, 3.0, 10.0, 63.9] {
                all.push(Polynomial { from: 1.0, to: 0.0, power, steps });
                all.push(Polynomial { from: 0.0, to: 1.0, power, steps });
            }
        }
        all
    }

    #[test]
    fn a_few_thousand_curves_are_within_2e_8_of_float64() {
        // All of the first steps, then as many in each octave.
        let octave = |bits: u32| (0..500u32).map(move |i| (1 << bits) + (i << (bits - 9)) + i % 7);
        let steps = || (0..4_096).chain((12..32).flat_map(octave)).chain([u32::MAX - 1]);
        let (mut most, mut worst) = (0, 0.0f64);
        for schedule in schedules() {
            let (curves, error) = measure(&schedule, steps());
            let restarts = matches!(schedule, Schedule::CosineRestarts { .. });
            assert!(curves <= if restarts { 6_400 } else { 1_200 }, "{schedule:?}: {curves} curves");
            assert!(error <= TOLERANCE, "{schedule:?}: {error:.2e}");
            (most, worst) = (most.max(curves), worst.max(error));
        }
        println!("at most {most} curves; worst: {worst:.2e} of the largest factor");
    }

    #[test]
    fn groups_with_equal_schedules_share_their_curves() {
        let cosine = Schedule::Cosine { from: 1.0, to: 0.0, steps: 1_000 };
        let (config, constant, root) = (Config::default(), Schedule::default(), Schedule::InverseSqrt { timescale: 9 });
        let groups = [&cosine, &root, &constant, &cosine].map(|schedule| (&config, schedule));
        let (settings, curves) = compile(groups.into_iter(), &[3, 2, 1, 0]);
        let [of_cosine, of_root] = [&cosine, &root].map(|schedule| measure(schedule, 0..1).0 as u32);
        let places = settings.iter().map(|s| (s.first_curve, s.curves, s.schedule_unit));
        let want = [(0, of_cosine, 1.0), (0, 0, 0.0), (of_cosine, of_root, 1.0), (0, of_cosine, 1.0)];
        assert_eq!(places.collect::<Vec<_>>(), want);
        assert_eq!(curves.len() as u32, of_cosine + of_root);
    }
}
