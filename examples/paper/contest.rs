//! Rules that train the same network side by side, each with all rates of a grid, and the comparison of their best runs.

use crate::{
    Result,
    data::Data,
    gpu::Gpu,
    net::Net,
    progress::progress,
    random::Random,
    runs::{Run, Runs, mean},
};
use plotters::style::RGBColor;
use wgpu_adam::Schedule;

/// A rule that takes this share of the epochs, or less, to the last loss of another one is ahead of it.
pub const ALIKE: f64 = 0.9;

/// A rule, and the runs that it may choose from.
pub struct Contender {
    pub name: &'static str,
    pub color: RGBColor,
    pub runs: Vec<Run>,
}

/// The best run of a contender.
pub struct Best {
    pub name: &'static str,
    pub color: RGBColor,
    pub lr: f64,
    /// Whether the rate falls as 1/sqrt(t).
    pub falls: bool,
    /// Whether the rate is the smallest or the largest of the grid.
    pub edge: bool,
    /// The mean training loss of each epoch.
    pub curve: Vec<f64>,
}

/// What all contenders train.
pub struct Task<'a> {
    pub data: &'a Data,
    pub net: &'a Net,
    pub batch: usize,
    pub epochs: u32,
    pub seed: u64,
}

/// The mean training loss of each run after each epoch. NaN and infinity stand for a run that has diverged.
pub fn curves(gpu: &Gpu, task: &Task, runs: &[Run]) -> Result<Vec<Vec<f64>>> {
    let mut side_by_side = Runs::new(gpu, task.data, task.net, task.batch, runs, task.seed)?;
    let mut random = Random::new(task.seed);
    let mut order = task.data.train.clone();
    let mut curves = vec![Vec::new(); runs.len()];
    let bar = progress(u64::from(task.epochs) * side_by_side.batches() as u64);
    for _ in 0..task.epochs {
        random.shuffle(&mut order);
        let scores = side_by_side.epoch(&order, &|batches| bar.inc(batches))?;
        curves.iter_mut().zip(scores).for_each(|(curve, scores)| curve.push(mean(&scores.train, 0)));
    }
    bar.finish_and_clear();
    Ok(curves)
}

/// Trains all runs of all contenders. Returns the best run of each, by its last loss.
pub fn contest(gpu: &Gpu, task: &Task, contenders: &[Contender]) -> Result<Vec<Best>> {
    let runs: Vec<Run> = contenders.iter().flat_map(|contender| contender.runs.clone()).collect();
    let mut curves = curves(gpu, task, &runs)?.into_iter();
    let best = contenders.iter().map(|Contender { name, color, runs }| {
        let of_runs = runs.iter().zip(curves.by_ref());
        let (run, curve) = of_runs.min_by(|(_, a), (_, b)| last(a).total_cmp(&last(b))).expect("a contender has runs");
        let lr = run.config.lr;
        let edge = runs.iter().all(|run| run.config.lr <= lr) || runs.iter().all(|run| run.config.lr >= lr);
        let falls = run.schedule != Schedule::Constant(1.0);
        Best { name, color: *color, lr, falls, edge, curve }
    });
    Ok(best.collect())
}

/// The mean loss of the last tenth of the epochs, infinite if the run has diverged.
pub fn last(curve: &[f64]) -> f64 {
    let tenth = &curve[curve.len() - curve.len().div_ceil(10)..];
    let mean = tenth.iter().sum::<f64>() / tenth.len() as f64;
    if mean.is_finite() { mean } else { f64::INFINITY }
}

/// The number of epochs after which a curve is at this loss, between two epochs along a line.
pub fn epochs_to(curve: &[f64], loss: f64) -> Option<f64> {
    let at = curve.iter().position(|l| *l <= loss)?;
    let Some(before) = at.checked_sub(1) else { return Some(1.0) };
    Some(at as f64 + (curve[before] - loss) / (curve[before] - curve[at]))
}

impl Best {
    /// One line: its rate and its last loss.
    pub fn line(&self) -> String {
        let Self { name, lr, .. } = self;
        let falls = if self.falls { ", falls as 1/sqrt(t)" } else { "" };
        let edge = if self.edge { ", at the end of the grid" } else { "" };
        format!("  {name:<14} last loss {:.4}   rate {lr:.2e}{falls}{edge}", last(&self.curve))
    }

    /// The share of the epochs that it takes to the other's last loss. None if it does not get there.
    fn share(&self, other: &Self) -> Option<f64> {
        epochs_to(&self.curve, last(&other.curve)).map(|epochs| epochs / self.curve.len() as f64)
    }

    /// Whether it reaches the other's last loss in less than this share of the epochs, and ends below it by more than 1 %; and how
    /// the two compare.
    pub fn ahead(&self, other: &Self, share: f64) -> (bool, String) {
        let [mine, its] = [(self, other), (other, self)].map(|(a, b)| {
            let epochs = a.share(b).map(|part| part * a.curve.len() as f64);
            epochs.map_or("never".into(), |epochs| format!("after {epochs:.1}"))
        });
        let by = format!(
            "last losses {:.4} and {:.4}; of {} epochs, {} has the other's {mine}, and {} {its}",
            last(&self.curve),
            last(&other.curve),
            self.curve.len(),
            self.name,
            other.name,
        );
        let soon = self.share(other).is_some_and(|part| part < share);
        (soon && last(&self.curve) < 0.99 * last(&other.curve), by)
    }

    /// Whether neither is ahead of the other, and how the two compare.
    pub fn alike(&self, other: &Self) -> (bool, String) {
        let (ahead, by) = self.ahead(other, ALIKE);
        (!ahead && !other.ahead(self, ALIKE).0, by)
    }
}

/// Prints whether a statement of the paper is seen, and by how much.
pub fn statement(what: &str, (seen, by): (bool, String)) {
    println!("  {}  {what}: {by}", if seen { "seen    " } else { "NOT seen" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_reaches_a_loss_between_two_epochs() {
        let mut curve = vec![1.0, 0.5, 0.3];
        assert_eq!(last(&curve), 0.3);
        curve.push(f64::NAN);
        assert_eq!(epochs_to(&curve, 2.0), Some(1.0));
        assert_eq!(epochs_to(&curve, 0.5), Some(2.0));
        assert!((epochs_to(&curve, 0.4).unwrap() - 2.5).abs() < 1e-12);
        assert_eq!(epochs_to(&curve, 0.2), None);
        assert_eq!(last(&curve), f64::INFINITY);
    }

    #[test]
    fn ahead_is_a_matter_of_epochs() {
        let best = |curve: &[f64]| Best {
            name: "x",
            color: RGBColor(0, 0, 0),
            lr: 1.0,
            falls: false,
            edge: false,
            curve: curve.to_vec(),
        };
        let (fast, slow) = (best(&[4.0, 2.0, 1.0, 0.9]), best(&[5.0, 4.0, 3.0, 2.0]));
        assert!(fast.ahead(&slow, 0.9).0 && !fast.ahead(&slow, 0.5).0);
        assert!(!slow.ahead(&fast, 0.9).0 && !fast.alike(&slow).0);
        let crossing = best(&[4.0, 0.8, 1.0, 0.905]);
        assert!(fast.alike(&fast).0 && fast.alike(&crossing).0);
    }
}
