//! Training on the GPU. The data, the parameters, the gradients and Adam's state stay there. An epoch is recorded
//! without reading any of them. The host reads back two kilobytes per epoch.

pub use crate::buffer::{empty, upload};
use crate::{
    buffer::read,
    kernel::{Binding::*, Kernel},
    passes::Passes,
    resident::Resident,
    trainer::{Epoch, Result, Score, Setup, Trainer, is_measured},
};
use half::bf16;
use std::ops::Range;
use wgpu::{Buffer, BufferUsages, ComputePass, Device, PollType, Queue};
use wgpu_adam::{Adam, Dtype, Group, Probe, Report, Tensor, View};

/// Maximum number of minibatches in a submission: enough to keep the GPU busy, and few enough to keep submissions
/// short.
const SUBMISSION: usize = 64;

pub struct Gpu {
    device: Device,
    queue: Queue,
    rows: Resident,
    passes: Passes,
    adam: Adam,
    probe: Probe,
    #[cfg(test)]
    grad: Buffer,
    /// Present if the parameters are stored in 16 bits. Converts them to f32 for the passes.
    widen: Option<Kernel>,
    sum: Kernel,
    totals: Buffer,
    readback: Buffer,
    /// Numbers of training rows and of held-out rows.
    counts: [usize; 2],
}

impl Gpu {
    pub fn new(device: Device, queue: Queue, setup: &Setup) -> Result<Self> {
        let Setup { data, network, batch, .. } = *setup;
        let widest = (network.features + 1).max(network.hidden + 1).max(network.classes);
        fits(&device, "the data set", data.pixels.len())?;
        fits(&device, "the parameters", 4 * network.len())?;
        fits(&device, "a minibatch", 4 * batch * widest)?;

        // Adam processes quads of 4 parameters. Padding the buffers to whole quads saves a dispatch for a partial last
        // one.
        let floats = network.len().next_multiple_of(4);
        let mut param = setup.param.clone();
        param.resize(floats, 0.0);
        let param = upload(&device, "param", bytemuck::cast_slice(&param), BufferUsages::STORAGE);
        let grad = empty(&device, "grad", floats, BufferUsages::STORAGE | BufferUsages::COPY_SRC);

        let halves: Vec<bf16> = setup.param.iter().map(|x| bf16::from_f32(*x)).chain([bf16::ZERO; 3]).collect();
        let halves = &halves[..floats];
        let stored = (setup.storage.dtype() == Dtype::Bf16)
            .then(|| upload(&device, "param in bf16", bytemuck::cast_slice(halves), BufferUsages::STORAGE));
        let widen = stored.as_ref().map(|stored| {
            let workgroups = (floats as u32).div_ceil(2 * 256).min(65_535);
            let bindings = [Read(stored), Write(&param)];
            Kernel::new(&device, "widen", include_str!("widen.wgsl"), &[], &bindings, [workgroups, 1, 1])
        });

        let tensor = |name: &str, at: Range<usize>| {
            let view = |buffer, format| View::new(buffer, format).slice(at.start as u64..at.end as u64);
            let param = view(stored.as_ref().unwrap_or(&param), setup.storage.dtype());
            Tensor::new(name, param, view(&grad, Dtype::F32))
        };
        let [decaying, plain] = setup.configs();
        let groups = [
            Group::new(decaying, vec![tensor("w1", network.w1()), tensor("w2", network.w2())]),
            Group::new(plain, vec![tensor("b1", network.b1()), tensor("b2", network.b2())]),
        ]
        .map(|group| group.with_schedule(setup.schedule.clone()));
        let adam = Adam::new(&device, &queue, &groups, setup.options())?;
        let probe = Probe::new(&adam)?;

        let counts = [data.train.len(), data.held_out.len()];
        let all = counts[0] + counts[1];
        let stats = empty(&device, "stats", 2 * all, BufferUsages::STORAGE);
        let totals = empty(&device, "totals", 4, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let sum = Kernel::new(
            &device,
            "sum",
            include_str!("sum.wgsl"),
            &[("train", counts[0] as f64), ("rows", all as f64)],
            &[Read(&stats), Write(&totals)],
            [2, 1, 1],
        );
        let rows = Resident::new(&device, data, batch);
        let passes = Passes::new(&device, network, &rows, &param, &grad, &stats);
        let readback = empty(&device, "readback", 4, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        Ok(Self {
            device,
            queue,
            rows,
            passes,
            adam,
            probe,
            #[cfg(test)]
            grad,
            widen,
            sum,
            totals,
            readback,
            counts,
        })
    }

    /// Computes and reads back the gradient of a minibatch.
    #[cfg(test)]
    pub fn gradient(&self, batch: usize) -> Result<Vec<f32>> {
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let readback = empty(&self.device, "grad read back", self.grad.size() as usize / 4, usage);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let offset = self.rows.offset(batch);
        self.passes.record_gradient(&mut encoder.begin_compute_pass(&Default::default()), offset);
        encoder.copy_buffer_to_buffer(&self.grad, 0, &readback, 0, self.grad.size());
        self.queue.submit([encoder.finish()]);
        read(&self.device, &readback)
    }
}

impl Trainer for Gpu {
    fn epoch(&mut self, order: &[u32], done: &dyn Fn(u64)) -> Result<Epoch> {
        self.rows.reorder(&self.queue, order);
        let batches = self.rows.batches;
        let train = self.rows.train_batches;
        let measured = |batch: usize| batch < train && is_measured(batch, train);
        let (mut submissions, mut insights, mut first) = (Vec::new(), Vec::new(), 0);
        while first < batches {
            // A submission ends after a measured step, because a measurement must be read before the next one.
            let most = batches.min(first + SUBMISSION);
            let end = (first + 1..most).find(|end| measured(end - 1)).unwrap_or(most);
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let widen = |pass: &mut ComputePass| self.widen.iter().for_each(|kernel| kernel.record(pass, 0));
            if first == 0 {
                widen(&mut pass);
            }
            for batch in first..end {
                let offset = self.rows.offset(batch);
                if batch >= train {
                    self.passes.record_forward(&mut pass, offset);
                    continue;
                }
                self.passes.record_gradient(&mut pass, offset);
                if measured(batch) {
                    self.probe.step_in_pass(&self.adam, &mut pass)?;
                } else {
                    self.adam.step_in_pass(&mut pass);
                }
                widen(&mut pass);
            }
            if end == batches {
                self.sum.record(&mut pass, 0);
                drop(pass);
                encoder.copy_buffer_to_buffer(&self.totals, 0, &self.readback, 0, self.totals.size());
            } else {
                drop(pass);
            }
            submissions.push((end - first, self.queue.submit([encoder.finish()])));
            if measured(end - 1) {
                insights.push(self.probe.read(&self.adam));
            }
            first = end;
        }

        // Everything is submitted. What remains is to report progress.
        for (batches, index) in submissions {
            self.device.poll(PollType::Wait { submission_index: Some(index), timeout: None })?;
            done(batches as u64);
        }
        let totals = read(&self.device, &self.readback)?;
        let insights = insights.into_iter().map(pollster::block_on).collect::<std::result::Result<_, _>>()?;
        let score = |part: usize| Score {
            loss: f64::from(totals[2 * part]) / self.counts[part] as f64,
            correct: totals[2 * part + 1] as u32,
            rows: self.counts[part] as u32,
        };
        Ok(Epoch { train: score(0), held_out: score(1), insights })
    }

    fn report(&mut self) -> Result<Report> {
        Ok(pollster::block_on(self.adam.read_report())?)
    }
}

/// Returns an error if `bytes` do not fit in one buffer of the GPU.
fn fits(device: &Device, what: &str, bytes: usize) -> Result<()> {
    let limits = device.limits();
    // The kernels use u32 indices.
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size).min(u32::MAX.into());
    if bytes as u64 > limit {
        let problem = format!("{bytes} bytes, but this GPU allows {limit} bytes per buffer (--cpu has no limit)");
        return Err(format!("{what}: {problem}").into());
    }
    Ok(())
}
