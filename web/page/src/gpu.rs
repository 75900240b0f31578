//! The network and its optimizer on the GPU. A run of many steps is one submission.

use crate::{
    Result,
    check::{Before, Check},
    cpu::tensor_ranges,
    data::Data,
    device::{Device, Part, finished, read},
    digits::Scores,
    network::Network,
    passes::Passes,
    resident::Resident,
    settings::Settings,
};
use futures_util::join;
use std::ops::Range;
use wgpu::{Buffer, BufferUsages, Queue, util::DeviceExt};
use wgpu_adam::{Adam, Error, Group, Probe, State, Tensor, View};

pub struct Gpu {
    device: wgpu::Device,
    queue: Queue,
    network: Network,
    rows: Resident,
    passes: Passes,
    /// The loss of each row of a minibatch, and whether it was read correctly: two numbers for each entry of the order.
    stats: Buffer,
    /// The same for all held-out rows, as one large minibatch.
    exam_rows: Resident,
    exam: Passes,
    exam_stats: Buffer,
    param: Buffer,
    grad: Buffer,
    nan: Buffer,
    optimizer: Optimizer,
}

struct Optimizer {
    adam: Adam,
    probe: Probe,
}

impl Gpu {
    pub async fn new(
        device: &Device,
        data: &Data,
        network: Network,
        batch: usize,
        param: &[f32],
        settings: &Settings,
    ) -> Result<Self> {
        let Device { device, queue, .. } = device;
        let floats = network.len().next_multiple_of(4);
        let mut padded = param.to_vec();
        padded.resize(floats, 0.0);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let param = upload(device, "param", bytemuck::cast_slice(&padded), usage);
        let grad = empty(device, "grad", floats, usage);
        let nan = upload(device, "nan", bytemuck::bytes_of(&f32::NAN), BufferUsages::COPY_SRC);
        let stats = || empty(device, "stats", 2 * data.labels.len(), BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let (stats, exam_stats) = (stats(), stats());
        let (rows, exam_rows) = (Resident::new(device, data, batch), Resident::new(device, data, data.held_out.len()));
        let passes = Passes::new(device, network, &rows, &param, &grad, &stats);
        let exam = Passes::new(device, network, &exam_rows, &param, &grad, &exam_stats);
        let optimizer = Optimizer::new(device, queue, network, &param, &grad, settings).await?;
        let (device, queue) = (device.clone(), queue.clone());
        Ok(Self {
            device,
            queue,
            network,
            rows,
            passes,
            stats,
            exam_rows,
            exam,
            exam_stats,
            param,
            grad,
            nan,
            optimizer,
        })
    }

    /// Sets the order of the training rows, from the next run on.
    pub fn reorder(&self, order: &[u32]) {
        self.rows.reorder(&self.queue, order);
    }

    /// Trains on these minibatches. The last step is measured. `poisoned` is the parameter whose gradient is NaN in the
    /// first step.
    pub async fn run(
        &mut self,
        batches: Range<usize>,
        rows: Range<usize>,
        held_out: Range<usize>,
        mut poisoned: Option<usize>,
    ) -> Result<Scores> {
        let Optimizer { adam, probe } = &self.optimizer;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for batch in batches.clone() {
            self.passes.record_gradient(&mut pass, self.rows.offset(batch));
            if let Some(element) = poisoned.take() {
                drop(pass);
                encoder.copy_buffer_to_buffer(&self.nan, 0, &self.grad, 4 * element as u64, 4);
                pass = encoder.begin_compute_pass(&Default::default());
            }
            if batch + 1 == batches.end {
                probe.step_in_pass(adam, &mut pass)?;
            } else {
                adam.step_in_pass(&mut pass);
            }
        }
        self.exam.record_forward(&mut pass, self.exam_rows.offset(self.exam_rows.train_batches));
        drop(pass);
        self.queue.submit([encoder.finish()]);
        let part = |buffer, rows: &Range<usize>| Part(buffer, 2 * rows.start, 2 * rows.len());
        let stats = [part(&self.stats, &rows), part(&self.exam_stats, &held_out)];
        let stats = read(&self.device, &self.queue, &stats);
        let (stats, report, insight) = join!(stats, adam.read_report(), probe.read(adam));
        let stats = stats?;
        let (train, exam) = stats.split_at(2 * rows.len());
        Ok(Scores { train: train.to_vec(), exam: exam.to_vec(), report: report?, insight: insight? })
    }

    /// Makes only a part of `steps` steps, to be timed: the gradients of the first minibatch, or what the optimizer does.
    pub async fn part(&self, steps: usize, gradients: bool) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..steps {
            match gradients {
                true => self.passes.record_gradient(&mut pass, self.rows.offset(0)),
                false => self.optimizer.adam.step_in_pass(&mut pass),
            }
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
        finished(&self.queue).await
    }

    /// Makes one step, and the same step on the CPU.
    pub async fn check(&mut self, batch: usize) -> Result<Check> {
        let adam = &self.optimizer.adam;
        let len = self.network.len();
        let look = |buffer| read(&self.device, &self.queue, &[Part(buffer, 0, len)]);
        let (param, state) = (look(&self.param), adam.read_state());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.passes.record_gradient(&mut pass, self.rows.offset(batch));
        adam.step_in_pass(&mut pass);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        // A step leaves the gradients as they are.
        let (grad, param_after, state_after) = (look(&self.grad), look(&self.param), adam.read_state());
        let (param, state, grad, param_after, state_after) = join!(param, state, grad, param_after, state_after);
        let before = Before { param: param?, grad: grad?, state: state? };
        Check::new(adam.to_cpu(), before, &self.network, &param_after?, &state_after?)
    }

    pub async fn param(&self) -> Result<Vec<f32>> {
        read(&self.device, &self.queue, &[Part(&self.param, 0, self.network.len())]).await
    }

    pub async fn state(&self) -> Result<State> {
        Ok(self.optimizer.adam.read_state().await?)
    }

    pub fn bytes(&self) -> u64 {
        self.optimizer.adam.memory_use().total()
    }

    /// Applies new settings to the optimizer as it is. Returns false if they need another one: nothing has changed then.
    pub async fn adjust(&mut self, settings: &Settings) -> Result<bool> {
        let adam = &mut self.optimizer.adam;
        let changed = adam.checked(|adam| {
            let schedule = settings.schedule();
            for (group, config) in settings.configs().into_iter().enumerate() {
                adam.set_config(group, config)?;
                if adam.groups()[group].schedule != schedule {
                    adam.set_schedule(group, schedule.clone())?;
                }
            }
            Ok(())
        });
        match changed.await {
            Err(Error::OtherRule { .. }) => return Ok(false),
            changed => changed?,
        }
        Ok(true)
    }

    /// Makes a new optimizer, which starts at step 0. The parameters stay.
    pub async fn replace(&mut self, settings: &Settings) -> Result<()> {
        self.optimizer = self.make(settings).await?;
        Ok(())
    }

    /// Goes on with these parameters and this state. On an error, nothing has changed.
    pub async fn load(&mut self, settings: &Settings, param: &[f32], state: &State) -> Result<()> {
        let mut optimizer = self.make(settings).await?;
        optimizer.adam.load_state(state).await?;
        optimizer.probe = Probe::new_async(&optimizer.adam).await?;
        self.optimizer = optimizer;
        self.queue.write_buffer(&self.param, 0, bytemuck::cast_slice(param));
        Ok(())
    }

    async fn make(&self, settings: &Settings) -> Result<Optimizer> {
        Optimizer::new(&self.device, &self.queue, self.network, &self.param, &self.grad, settings).await
    }
}

impl Optimizer {
    async fn new(
        device: &wgpu::Device,
        queue: &Queue,
        network: Network,
        param: &Buffer,
        grad: &Buffer,
        settings: &Settings,
    ) -> Result<Self> {
        let view = |buffer, at: &Range<usize>| View::f32(buffer).slice(at.start as u64..at.end as u64);
        let tensor = |(name, at): (&str, Range<usize>)| Tensor::new(name, view(param, &at), view(grad, &at));
        let mut tensors = tensor_ranges(&network).map(tensor).into_iter();
        let groups = settings
            .configs()
            .map(|config| Group::new(config, tensors.by_ref().take(2).collect()).with_schedule(settings.schedule()));
        let adam = Adam::new_async(device, queue, &groups, settings.options()).await?;
        let probe = Probe::new_async(&adam).await?;
        Ok(Self { adam, probe })
    }
}

pub fn upload(device: &wgpu::Device, label: &str, contents: &[u8], usage: BufferUsages) -> Buffer {
    device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage })
}

/// Creates a buffer of `floats` f32 zeros.
pub fn empty(device: &wgpu::Device, label: &str, floats: usize, usage: BufferUsages) -> Buffer {
    let size = 4 * floats as u64;
    device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}
