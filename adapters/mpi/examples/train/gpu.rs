//! A replica on the GPU.

use mpi::traits::Communicator;
use wgpu::{Buffer, BufferUsages, Device, Queue};
use wgpu_adam::{Config, Group, Tensor};
use wgpu_adam_mpi::Sharded;

use crate::buffer::read;
pub use crate::buffer::{empty, upload};
use crate::kernel::Binding::{Read, Write};
use crate::kernel::Kernel;
use crate::passes::Passes;
use crate::resident::Resident;
use crate::trainer::Result;
use crate::{Replica, Setup};

/// The kernels of the example of wgpu-adam, whose gradients go into a sharded optimizer.
pub struct Gpu {
    device: Device,
    queue: Queue,
    rows: Resident,
    passes: Passes,
    adam: Sharded,
    sum: Kernel,
    totals: Buffer,
    readback: Buffer,
}

impl Gpu {
    pub fn new(world: &impl Communicator, device: Device, queue: Queue, setup: Setup) -> Result<Self> {
        let Setup { cli, data, network, mut param, rows } = setup;
        param.resize(network.len().next_multiple_of(4), 0.0);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let grad = empty(&device, "grad", param.len(), usage);
        let param = upload(&device, "param", bytemuck::cast_slice(&param), usage);
        let config = Config { lr: cli.lr, ..Config::default() };
        let group = Group::new(config, vec![Tensor::f32("all", &param, &grad)]);
        let adam = Sharded::new(world, &device, &queue, &[group], &cli.options())?;

        let all = data.train.len() + data.held_out.len();
        let stats = empty(&device, "stats", 2 * all, BufferUsages::STORAGE);
        let totals = empty(&device, "totals", 4, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let sum = Kernel::new(
            &device,
            "sum",
            include_str!("../../../../examples/train/sum.wgsl"),
            &[("train", data.train.len() as f64), ("rows", all as f64)],
            &[Read(&stats), Write(&totals)],
            [2, 1, 1],
        );
        let rows = Resident::new(&device, data, rows);
        let passes = Passes::new(&device, network, &rows, &param, &grad, &stats);
        let readback = empty(&device, "readback", 4, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        Ok(Self { device, queue, rows, passes, adam, sum, totals, readback })
    }
}

impl Replica for Gpu {
    fn epoch(&mut self, order: &[u32]) -> Result<[f64; 4]> {
        self.rows.reorder(&self.queue, order);
        for batch in 0..self.rows.train_batches {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            self.passes.record_gradient(&mut encoder.begin_compute_pass(&Default::default()), self.rows.offset(batch));
            self.queue.submit([encoder.finish()]);
            self.adam.step()?;
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for batch in self.rows.train_batches..self.rows.batches {
            self.passes.record_forward(&mut pass, self.rows.offset(batch));
        }
        self.sum.record(&mut pass, 0);
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.totals, 0, &self.readback, 0, self.totals.size());
        self.queue.submit([encoder.finish()]);
        let totals = read(&self.device, &self.readback)?;
        Ok([0, 1, 2, 3].map(|i| f64::from(totals[i])))
    }

    fn bytes_sent(&self) -> u64 {
        self.adam.bytes_sent()
    }

    fn state_bytes(&self) -> u64 {
        let used = self.adam.optimizer().memory_use();
        used.m + used.v
    }

    fn steps(&self) -> Result<(u32, u32)> {
        let report = self.adam.read_report()?;
        Ok((report.t, report.skipped))
    }
}
