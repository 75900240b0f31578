//! The course of the learning rate, as a schedule of this crate. Schedules are evaluated on the device, so the host
//! sends nothing.

use clap::ValueEnum;
use wgpu_adam::Schedule;

/// The values of `--schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Course {
    /// Stays at the peak
    Constant,
    /// Falls linearly to 0
    Linear,
    /// Falls to 0 along half a cosine
    Cosine,
    /// Three half cosines, each twice as long as the one before it
    Restarts,
    /// Rises from a 25th of the peak along a cosine for 30 % of the steps, then falls to almost 0
    OneCycle,
    /// Falls exponentially to a hundredth of the peak
    Exponential,
    /// Falls to a tenth after a third of the steps, and again after two thirds
    Step,
    /// Falls to 0 with the square of the number of remaining steps
    Polynomial,
    /// Falls as 1/sqrt(t), slowly at first
    InverseSqrt,
}

impl Course {
    /// Returns the schedule over `steps` steps, the first `warm_up` of which are the warm-up.
    pub fn schedule(self, steps: u32, warm_up: u32) -> Schedule {
        let left = steps.saturating_sub(warm_up).max(1);
        let part = |share: f64| ((share * f64::from(left)) as u32).max(1);
        let schedule = match self {
            Self::Constant => Schedule::Constant(1.0),
            Self::Linear => Schedule::Linear { from: 1.0, to: 0.0, steps: left },
            Self::Cosine => Schedule::Cosine { from: 1.0, to: 0.0, steps: left },
            Self::Restarts => Schedule::CosineRestarts { from: 1.0, to: 0.0, steps: left.div_ceil(7), growth: 2 },
            Self::OneCycle => Schedule::OneCycle { from: 0.04, to: 4e-6, up: part(0.3), down: part(0.7) },
            Self::Exponential => Schedule::Exponential { rate: 0.01, every: left },
            Self::Step => Schedule::Step { rate: 0.1, every: left.div_ceil(3) },
            Self::Polynomial => Schedule::Polynomial { from: 1.0, to: 0.0, power: 2.0, steps: left },
            Self::InverseSqrt => Schedule::InverseSqrt { timescale: part(0.1) },
        };
        if warm_up > 0 { schedule.with_warm_up(warm_up) } else { schedule }
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_course_is_a_valid_schedule_of_any_length() {
        for course in Course::value_variants() {
            for (steps, warm_up) in [(1, 0), (1, 5), (2, 1), (7, 0), (1_350, 100)] {
                let schedule = course.schedule(steps, warm_up);
                let tensor = wgpu_adam::cpu::Tensor::new("w", 1);
                let group =
                    wgpu_adam::cpu::Group::new(Default::default(), vec![tensor]).with_schedule(schedule.clone());
                wgpu_adam::cpu::Adam::new(&[group], Default::default()).unwrap();
                let factors: Vec<f64> = (1..=steps).map(|t| schedule.factor(t)).collect();
                assert!(factors.iter().all(|factor| (0.0..=1.0).contains(factor)), "{schedule:?}");
                assert!(steps < 1_000 || factors.iter().any(|factor| *factor > 0.999), "{schedule:?}");
            }
        }
    }
}
