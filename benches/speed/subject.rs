//! Subjects and their timing: the subjects of a case are measured many times, interleaved, and the medians count.

use std::error::Error;

use crate::gauge::Gauge;

/// A time in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// By the host's clock, from recording to the end.
    pub wall: f64,
    /// By the device's timestamps, if it has them.
    pub device: Option<f64>,
}

impl Time {
    pub fn each(self, steps: u32) -> Self {
        let each = |time: f64| time / f64::from(steps);
        Self { wall: each(self.wall), device: self.device.map(each) }
    }
}

/// Something that makes steps.
pub trait Subject {
    /// Makes `steps` steps and returns their total time.
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>>;
}

/// The median time of one step of a subject.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    pub wall: f64,
    pub device: Option<f64>,
    /// Half the interquartile range, divided by the median.
    pub spread: f64,
}

impl Median {
    /// Returns this time divided by the other one, by the device's clock if both have one.
    pub fn against(&self, other: &Median) -> f64 {
        match (self.device, other.device) {
            (Some(own), Some(other)) => own / other,
            _ => self.wall / other.wall,
        }
    }

    /// Returns the time by the device's clock if there is one, otherwise by the host's.
    pub fn best(&self) -> f64 {
        self.device.unwrap_or(self.wall)
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// Returns the median of several measurements.
pub fn median(times: &[Time]) -> Median {
    let sorted = |of: &dyn Fn(&Time) -> Option<f64>| {
        let mut values: Vec<f64> = times.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let wall = sorted(&|t| Some(t.wall));
    let device = sorted(&|t| t.device);
    let best = if device.is_empty() { &wall } else { &device };
    let spread = (quantile(best, 0.75) - quantile(best, 0.25)) / 2.0 / quantile(best, 0.5);
    Median { wall: quantile(&wall, 0.5), device: (!device.is_empty()).then(|| quantile(&device, 0.5)), spread }
}

/// Measures all subjects side by side and returns all times of each. First each subject is warmed up, and its number of
/// steps is set so that they take `sample` milliseconds. Then there are `rounds` rounds, and each starts with another
/// subject. Before each measurement the subject makes a quarter of its steps unmeasured. The gauge repeats disturbed
/// measurements.
pub fn side_by_side(
    subjects: &mut [Box<dyn Subject + '_>],
    rounds: u32,
    sample: f64,
    gauge: &Gauge,
) -> Result<Vec<Vec<Time>>, Box<dyn Error>> {
    let mut steps = Vec::new();
    for subject in subjects.iter_mut() {
        let mut count = 1;
        subject.run(count)?;
        loop {
            let time = subject.run(count)?.wall;
            if time >= sample / 2.0 || count >= 1 << 14 {
                count = (f64::from(count) * sample / time).ceil().clamp(1.0, f64::from(1 << 15)) as u32;
                break;
            }
            count *= 4;
        }
        steps.push(count);
    }
    let mut times = vec![Vec::new(); subjects.len()];
    for round in 0..rounds as usize {
        let count = subjects.len();
        for i in (0..count).map(|i| (i + round) % count) {
            let time = gauge.steadily(|| {
                // The previous subject has left its own data in the caches.
                subjects[i].run(steps[i].div_ceil(4))?;
                subjects[i].run(steps[i])
            })?;
            times[i].push(time.each(steps[i]));
        }
    }
    Ok(times)
}
