//! A course: a network and its data. The rules run it side by side.

use crate::{
    Result,
    data::Data,
    gpu::Gpu,
    net::Net,
    progress::progress,
    racers::Racer,
    random::Random,
    runs::{Run, Runs, Scores, mean, rates},
};
use wgpu_adam::Config;

/// A loss is the mean over this many minibatches.
const WINDOW: usize = 32;

pub struct Course {
    pub name: String,
    pub net: Net,
    /// Its held-out rows are the last fifth of the training rows: for the choice of the rates.
    pub validation: Data,
    /// Its held-out rows are those of the data set: for the race.
    pub test: Data,
    pub batch: usize,
    pub epochs: u32,
}

/// A racer's runs with its best rate, one for each seed.
pub struct Outcome {
    pub lr: f64,
    /// Whether that is the smallest or the largest rate of its grid.
    pub edge: bool,
    /// The mean loss of the last minibatches, after each step.
    pub losses: Vec<Vec<f64>>,
    /// The held-out accuracy after the last step, in percent.
    pub accuracies: Vec<f64>,
}

impl Course {
    /// A course of at least so many steps, in whole epochs.
    pub fn new(name: String, hidden: &[usize], data: &Data, batch: usize, steps: u32) -> Self {
        let net = Net::classifier(data.features, hidden, data.classes, [0.0, 0.0]);
        let (train, validation) = data.train.split_at(data.train.len() - data.train.len() / 5);
        let epochs = steps.div_ceil(train.len().div_ceil(batch) as u32);
        let with = |held_out: &[u32]| Data {
            name: data.name.clone(),
            title: data.title.clone(),
            pixels: data.pixels.clone(),
            labels: data.labels.clone(),
            train: train.to_vec(),
            held_out: held_out.to_vec(),
            ..*data
        };
        Self { name, net, validation: with(validation), test: with(&data.held_out), batch, epochs }
    }

    pub fn steps(&self) -> u32 {
        self.epochs * self.test.train.len().div_ceil(self.batch) as u32
    }

    /// Chooses the rates, and races with each of the seeds.
    pub fn race(&self, gpu: &Gpu, racers: &[Racer], seeds: u64) -> Result<Vec<Outcome>> {
        let trial = |racer: &Racer, lr: f64| Run::from(Config { lr, ..racer.config.clone() });
        let trials: Vec<Run> =
            racers.iter().flat_map(|racer| rates(racer.rates.clone()).into_iter().map(|lr| trial(racer, lr))).collect();
        let (_, scores) = self.train(gpu, &self.validation, &trials, 0)?;
        let mut losses = scores.iter().map(|scores| mean(&scores.held_out, 0));
        let mut results: Vec<Outcome> = racers
            .iter()
            .map(|racer| {
                let grid = rates(racer.rates.clone());
                let losses: Vec<f64> = losses.by_ref().take(grid.len()).collect();
                let best = (0..grid.len()).min_by(|a, b| order(losses[*a]).total_cmp(&order(losses[*b]))).unwrap_or(0);
                let edge = best == 0 || best + 1 == grid.len();
                Outcome { lr: grid[best], edge, losses: vec![], accuracies: vec![] }
            })
            .collect();
        let runs: Vec<Run> = racers.iter().zip(&results).map(|(racer, result)| trial(racer, result.lr)).collect();
        for seed in 1..=seeds {
            let (losses, scores) = self.train(gpu, &self.test, &runs, seed)?;
            for ((result, losses), scores) in results.iter_mut().zip(losses).zip(scores) {
                result.losses.push(losses);
                result.accuracies.push(100.0 * mean(&scores.held_out, 1));
            }
        }
        Ok(results)
    }

    /// Returns the losses of each run after each step, and its last scores.
    fn train(&self, gpu: &Gpu, data: &Data, runs: &[Run], seed: u64) -> Result<(Vec<Vec<f64>>, Vec<Scores>)> {
        let mut side_by_side = Runs::new(gpu, data, &self.net, self.batch, runs, seed)?;
        let mut random = Random::new(seed);
        let mut order = data.train.clone();
        let (mut losses, mut last) = (vec![Vec::new(); runs.len()], Vec::new());
        let bar = progress(u64::from(self.epochs) * side_by_side.batches() as u64);
        for _ in 0..self.epochs {
            random.shuffle(&mut order);
            last = side_by_side.epoch(&order, &|batches| bar.inc(batches))?;
            for (losses, scores) in losses.iter_mut().zip(&last) {
                losses.extend(scores.train.chunks(self.batch).map(|batch| mean(batch, 0)));
            }
        }
        bar.finish_and_clear();
        Ok((losses.iter().map(|losses| smooth(losses)).collect(), last))
    }
}

/// A loss that is NaN comes last.
fn order(loss: f64) -> f64 {
    if loss.is_nan() { f64::INFINITY } else { loss }
}

/// The mean of the last `WINDOW` losses, for each.
fn smooth(losses: &[f64]) -> Vec<f64> {
    let window = |end: usize| &losses[(end + 1).saturating_sub(WINDOW)..=end];
    (0..losses.len()).map(|end| window(end).iter().sum::<f64>() / window(end).len() as f64).collect()
}

impl Outcome {
    /// The steps to this loss: the median over the seeds. None if most of them do not get there.
    pub fn steps_to(&self, loss: f64) -> Option<usize> {
        let steps = |losses: &Vec<f64>| losses.iter().position(|l| *l <= loss).map_or(usize::MAX, |at| at + 1);
        let median = median(self.losses.iter().map(steps).collect());
        (median < usize::MAX).then_some(median)
    }

    /// The loss after each step: the median over the seeds.
    pub fn median_losses(&self) -> Vec<f64> {
        let steps = self.losses.first().map_or(0, Vec::len);
        let at = |step: usize| self.losses.iter().map(|losses| order(losses[step]).to_bits()).collect();
        // The bits of positive numbers are in their order.
        (0..steps).map(|step| f64::from_bits(median(at(step)))).collect()
    }

    /// The mean and the standard deviation of the accuracies.
    pub fn accuracy(&self) -> [f64; 2] {
        let count = self.accuracies.len() as f64;
        let mean = self.accuracies.iter().sum::<f64>() / count;
        let squares = self.accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>();
        [mean, (squares / (count - 1.0).max(1.0)).sqrt()]
    }
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_medians_means_and_deviations() {
        let losses = vec![vec![3.0, 2.0, 1.0], vec![3.0, 1.0, 0.5], vec![4.0, f64::NAN, f64::NAN]];
        let result = Outcome { lr: 1.0, edge: false, losses, accuracies: vec![90.0, 92.0, 94.0] };
        assert_eq!([result.steps_to(2.0), result.steps_to(1.0), result.steps_to(0.9)], [Some(2), Some(3), None]);
        assert_eq!(result.median_losses(), [3.0, 2.0, 1.0]);
        assert_eq!(result.accuracy(), [92.0, 2.0]);
    }

    #[test]
    fn a_smooth_loss_is_the_mean_of_a_window() {
        let losses: Vec<f64> = (0..100).map(f64::from).collect();
        let smooth = smooth(&losses);
        assert_eq!([smooth[0], smooth[2], smooth[99]], [0.0, 1.0, 99.0 - 15.5]);
    }
}
