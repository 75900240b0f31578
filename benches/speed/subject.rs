//! What is timed, and how: all subjects of a case in turn, many times over, and the medians.

use std::error::Error;

use crate::gauge::Gauge;

/// Milliseconds: by our clock from recording to the end, and by the device's where it has one.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    pub wall: f64,
    pub device: Option<f64>,
}

impl Time {
    pub fn each(self, steps: u32) -> Self {
        let each = |time: f64| time / f64::from(steps);
        Self { wall: each(self.wall), device: self.device.map(each) }
    }
}

/// Something that can make steps.
pub trait Subject {
    /// Makes so many steps and says how long they took together.
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>>;
}

/// What a subject's measurements come to, for one step.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    pub wall: f64,
    pub device: Option<f64>,
    /// Half the distance of the quartiles, over the median.
    pub spread: f64,
}

impl Median {
    /// How many times as long as another: by the device's clock where both have that.
    pub fn against(&self, other: &Median) -> f64 {
        match (self.device, other.device) {
            (Some(own), Some(other)) => own / other,
            _ => self.wall / other.wall,
        }
    }

    /// By the device's clock, or else by ours.
    pub fn best(&self) -> f64 {
        self.device.unwrap_or(self.wall)
    }
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The median of several measurements.
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

/// Measures all subjects side by side: each is warmed up and given as many steps as take `sample` milliseconds; then all in
/// turn, `rounds` times, each round beginning with another one, and each with a quarter of its steps unmeasured before; again
/// where the gauge says so. All times of each are given.
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
                // What ran before it has left caches and processors to itself.
                subjects[i].run(steps[i].div_ceil(4))?;
                subjects[i].run(steps[i])
            })?;
            times[i].push(time.each(steps[i]));
        }
    }
    Ok(times)
}
