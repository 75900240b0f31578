//! Networks that train side by side: one kernel does a pass of all of them, and one optimizer steps them all. Each network is
//! a group with its own rule and rate. All see the same minibatches and the same dropout.

use crate::{
    Result,
    data::Data,
    gpu::{Gpu, empty, read, upload},
    net::Net,
    passes::{Passes, Shared},
    random::Random,
    resident::Resident,
};
use std::ops::{Range, RangeInclusive};
use wgpu::{Buffer, BufferUsages, PollType};
use wgpu_adam::{Adam, Config, Group, Options, Schedule, Tensor, View};

/// Number of multiplications after which a submission ends, so that none runs for many seconds.
const SUBMISSION: usize = 4_000_000_000;

/// What distinguishes one network from the others.
#[derive(Clone, Debug)]
pub struct Run {
    pub config: Config,
    pub schedule: Schedule,
}

impl From<Config> for Run {
    fn from(config: Config) -> Self {
        Self { config, schedule: Schedule::Constant(1.0) }
    }
}

/// Powers of ten, from halves of their exponents: -6 stands for 10^-3.
pub fn rates(halves: RangeInclusive<i32>) -> Vec<f64> {
    halves.map(|half| 10f64.powf(f64::from(half) / 2.0)).collect()
}

pub struct Runs {
    gpu: Gpu,
    rows: Resident,
    passes: Passes,
    adam: Adam,
    #[cfg(test)]
    pub grad: Buffer,
    stats: Buffer,
    readback: Buffer,
    /// The seed of dropout and samples, for each epoch another one.
    epoch: Buffer,
    chance: Random,
    runs: usize,
    /// The number of training rows.
    train: usize,
    /// Number of minibatches in a submission.
    submission: usize,
}

/// For each row in the order of training: its loss before the step of its minibatch, and 1 if the prediction was correct.
/// For each held-out row: the same after the epoch.
pub struct Scores {
    pub train: Vec<[f32; 2]>,
    pub held_out: Vec<[f32; 2]>,
}

/// The mean of the losses or of the correct predictions, in f64.
pub fn mean(scores: &[[f32; 2]], which: usize) -> f64 {
    scores.iter().map(|score| f64::from(score[which])).sum::<f64>() / scores.len() as f64
}

impl Runs {
    /// All networks begin with the same weights, which depend on the seed.
    pub fn new(gpu: &Gpu, data: &Data, net: &Net, batch: usize, runs: &[Run], seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let param = net.init(&mut random);
        Self::from_params(gpu, data, net, batch, runs, &vec![param; runs.len()], random)
    }

    pub fn from_params(
        gpu: &Gpu,
        data: &Data,
        net: &Net,
        batch: usize,
        runs: &[Run],
        params: &[Vec<f32>],
        chance: Random,
    ) -> Result<Self> {
        let Gpu { device, queue, .. } = gpu;
        // Whole quads, so that all networks of a rule run in one dispatch.
        let each = net.len().next_multiple_of(4);
        let entries = data.train.len() + data.held_out.len();
        let stats_len = 2 * runs.len() * entries;
        for (what, floats) in [("the networks", runs.len() * each), ("the losses", stats_len)] {
            fits(gpu, what, 4 * floats)?;
        }
        let padded: Vec<f32> =
            params.iter().flat_map(|param| param.iter().copied().chain(vec![0.0; each - param.len()])).collect();
        let param = upload(device, "param", bytemuck::cast_slice(&padded), BufferUsages::STORAGE);
        let grad = empty(device, "grad", runs.len() * each, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let stats = empty(device, "stats", stats_len, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let readback = empty(device, "readback", stats_len, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        let epoch = empty(device, "epoch", 1, BufferUsages::STORAGE | BufferUsages::COPY_DST);

        let groups = runs.iter().enumerate().map(|(run, Run { config, schedule })| {
            let tensor = |name: String, at: Range<usize>| {
                let range = (run * each + at.start) as u64..(run * each + at.end) as u64;
                Tensor::new(name, View::f32(&param).slice(range.clone()), View::f32(&grad).slice(range))
            };
            let tensors = (0..net.layers.len()).flat_map(|layer| {
                [
                    tensor(format!("{run}.w{layer}"), net.weights(layer)),
                    tensor(format!("{run}.b{layer}"), net.biases(layer)),
                ]
            });
            Group::new(config.clone(), tensors.collect()).with_schedule(schedule.clone())
        });
        let adam = Adam::new(device, queue, &groups.collect::<Vec<_>>(), Options::default())?;

        let rows = Resident::new(device, data, batch);
        let shared =
            Shared { runs: runs.len(), each, param: &param, grad: &grad, stats: &stats, entries, epoch: &epoch };
        let passes = Passes::new(device, net, &rows, &shared);
        let submission = (SUBMISSION / (3 * runs.len() * batch * net.len())).clamp(1, 64);
        Ok(Self {
            gpu: gpu.clone(),
            rows,
            passes,
            adam,
            #[cfg(test)]
            grad,
            stats,
            readback,
            epoch,
            chance,
            runs: runs.len(),
            train: data.train.len(),
            submission,
        })
    }

    /// Trains all networks on the rows in that order, and then scores the held-out rows. Returns the scores of each network.
    pub fn epoch(&mut self, order: &[u32], done: &dyn Fn(u64)) -> Result<Vec<Scores>> {
        let Gpu { device, queue, .. } = &self.gpu;
        self.rows.reorder(queue, order);
        queue.write_buffer(&self.epoch, 0, bytemuck::bytes_of(&(self.chance.below(1 << 32) as u32)));
        let batches: Vec<usize> = (0..self.rows.batches).collect();
        let (train, held_out) = batches.split_at(self.rows.train_batches);
        let mut submitted = Vec::new();
        for batches in train.chunks(self.submission).chain(held_out.chunks(self.submission)) {
            let mut encoder = device.create_command_encoder(&Default::default());
            if batches[0] == self.rows.train_batches {
                // Schedule-Free scores the average of its steps.
                self.adam.eval_mode(&mut encoder);
            }
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for &batch in batches {
                if batch < self.rows.train_batches {
                    self.passes.record_gradient(&mut pass, self.rows.offset(batch));
                    self.adam.step_in_pass(&mut pass);
                } else {
                    self.passes.record_forward(&mut pass, self.rows.offset(batch));
                }
            }
            drop(pass);
            submitted.push((batches.len(), queue.submit([encoder.finish()])));
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        self.adam.train_mode(&mut encoder);
        encoder.copy_buffer_to_buffer(&self.stats, 0, &self.readback, 0, self.stats.size());
        queue.submit([encoder.finish()]);
        for (batches, index) in submitted {
            device.poll(PollType::Wait { submission_index: Some(index), timeout: None })?;
            done(batches as u64);
        }
        let numbers = read(device, &self.readback)?;
        let (pairs, _) = numbers.as_chunks::<2>();
        let of_run = |scores: &[[f32; 2]]| {
            let (train, held_out) = scores.split_at(self.train);
            Scores { train: train.to_vec(), held_out: held_out.to_vec() }
        };
        Ok(pairs.chunks(pairs.len() / self.runs).map(of_run).collect())
    }

    /// The number of minibatches of an epoch, those of held-out rows included.
    pub fn batches(&self) -> usize {
        self.rows.batches
    }

    /// Computes and reads back the gradients of a minibatch in epoch 0, network after network, and its losses.
    #[cfg(test)]
    pub fn gradient(&self, batch: usize) -> Result<[Vec<f32>; 2]> {
        let Gpu { device, queue, .. } = &self.gpu;
        let copies = [&self.grad, &self.stats].map(|from| {
            let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
            (from, empty(device, "copy", from.size() as usize / 4, usage))
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        let offset = self.rows.offset(batch);
        self.passes.record_gradient(&mut encoder.begin_compute_pass(&Default::default()), offset);
        for (from, to) in &copies {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        }
        queue.submit([encoder.finish()]);
        let [grad, stats] = copies.map(|(_, copy)| read(device, &copy));
        Ok([grad?, stats?])
    }
}

/// Returns an error if `bytes` do not fit in one buffer of the GPU.
fn fits(gpu: &Gpu, what: &str, bytes: usize) -> Result<()> {
    let limits = gpu.device.limits();
    // The kernels use u32 indices.
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size).min(u32::MAX.into());
    if bytes as u64 > limit {
        return Err(format!("{what}: {bytes} bytes, but this GPU allows {limit} bytes per buffer").into());
    }
    Ok(())
}
