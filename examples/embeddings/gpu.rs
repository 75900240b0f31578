//! The training on the GPU. The host sends a batch's numbers, and the tables and Adam's state stay there.

use crate::{
    batch::{Batch, GROUP, Touched},
    kernel::{Binding, Kernel},
    readback::Readback,
    trainer::{Result, Setup, TABLES, Trainer},
};
use wgpu::{Buffer, BufferUsages, CommandEncoder, Device, PollType, Queue};
use wgpu_adam::{Adam, Group, Options, Tensor, View};

pub struct Gpu {
    device: Device,
    queue: Queue,
    pairs: Buffer,
    losses: Buffer,
    tables: [Table; 2],
    kernels: [Kernel; 3],
    adam: Adam,
}

/// The buffers of a table. All but the first and the last are as long as the largest batch needs.
struct Table {
    param: Buffer,
    grad: Buffer,
    list: Buffer,
    count: Buffer,
    starts: Buffer,
    terms: Buffer,
    inverse: Buffer,
}

impl Gpu {
    pub fn new(device: Device, queue: Queue, setup: Setup) -> Result<Self> {
        let pairs = setup.batch * GROUP;
        let buffer = |label, len: usize| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            let size = 4 * len as u64;
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        // A word has a group of pairs, and a context may have a single one.
        let tables = [(0, setup.batch), (1, pairs)].map(|(table, rows)| {
            let param = &setup.tables[table];
            let table = Table {
                param: buffer("param", param.len()),
                grad: buffer("grad", rows * setup.dim),
                list: buffer("list", rows),
                count: buffer("count", 1),
                starts: buffer("starts", rows + 1),
                terms: buffer("terms", 2 * pairs),
                inverse: buffer("inverse", param.len() / setup.dim),
            };
            queue.write_buffer(&table.param, 0, bytemuck::cast_slice(param));
            table
        });
        let [slopes, losses] = ["slopes", "losses"].map(|label| buffer(label, pairs));
        let places = buffer("pairs", 2 * pairs);

        let tensors = TABLES.iter().zip(&tables).map(|(name, table)| {
            let rows = setup.rows(View::u32(&table.list), View::u32(&table.count), View::u32(&table.inverse));
            Tensor::f32(*name, &table.param, &table.grad).with_rows(rows)
        });
        let group = Group::new(setup.config(), tensors.collect());
        let adam = Adam::new(&device, &queue, &[group], Options::default())?;

        let [words, contexts] = &tables;
        let dim = ("dim", setup.dim as f64);
        let bindings = [
            Binding::Read(&places),
            Binding::Read(&words.param),
            Binding::Read(&contexts.param),
            Binding::Write(&slopes),
            Binding::Write(&losses),
        ];
        let overrides = [dim, ("group", GROUP as f64)];
        let workgroups = [pairs.div_ceil(64) as u32, 1, 1];
        let score = Kernel::new(&device, "score", include_str!("score.wgsl"), &overrides, &bindings, workgroups);
        let gradient = |own: &Table, other: &Table, rows: usize| {
            let bindings = [
                Binding::Read(&slopes),
                Binding::Read(&other.param),
                Binding::Read(&own.list),
                Binding::Read(&own.starts),
                Binding::Read(&own.terms),
                Binding::Write(&own.grad),
                Binding::Write(&own.inverse),
            ];
            Kernel::new(&device, "gradient", include_str!("gradient.wgsl"), &[dim], &bindings, [rows as u32, 1, 1])
        };
        let kernels = [score, gradient(words, contexts, setup.batch), gradient(contexts, words, pairs)];
        Ok(Self { pairs: places, losses, tables, kernels, adam, device, queue })
    }

    /// Sends the batch and records its gradient.
    fn backward(&self, batch: &Batch) -> CommandEncoder {
        let write = |buffer: &Buffer, bytes: &[u8]| self.queue.write_buffer(buffer, 0, bytes);
        write(&self.pairs, bytemuck::cast_slice(&batch.pairs));
        for (table, touched) in self.tables.iter().zip(&batch.touched) {
            let Touched { rows, starts, terms } = touched;
            // Beyond the end of the list, rows have no terms.
            let mut starts = starts.clone();
            starts.resize(table.starts.size() as usize / 4, terms.len() as u32);
            write(&table.list, bytemuck::cast_slice(rows));
            write(&table.count, bytemuck::bytes_of(&(rows.len() as u32)));
            write(&table.starts, bytemuck::cast_slice(&starts));
            write(&table.terms, bytemuck::cast_slice(terms));
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.kernels.iter().for_each(|kernel| kernel.record(&mut pass, 0));
        drop(pass);
        encoder
    }

    fn read(&self, buffer: &Buffer) -> Result<Vec<f32>> {
        Readback::new(&self.device, &self.queue, buffer).wait(&self.device)
    }
}

impl Trainer for Gpu {
    fn step(&mut self, batch: &Batch) -> Result<()> {
        let mut encoder = self.backward(batch);
        self.adam.step(&mut encoder);
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        self.device.poll(PollType::wait_indefinitely())?;
        Ok(())
    }

    fn loss(&mut self) -> Result<f64> {
        let losses = self.read(&self.losses)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(&self.losses, 0, None);
        self.queue.submit([encoder.finish()]);
        Ok(losses.into_iter().map(f64::from).sum())
    }

    fn table(&mut self, table: usize) -> Result<Vec<f32>> {
        self.read(&self.tables[table].param)
    }

    #[cfg(test)]
    fn gradient(&mut self, batch: &Batch) -> Result<[Vec<f32>; 2]> {
        self.queue.submit([self.backward(batch).finish()]);
        let mut grads = [self.read(&self.tables[0].grad)?, self.read(&self.tables[1].grad)?];
        for (grad, (table, touched)) in grads.iter_mut().zip(self.tables.iter().zip(&batch.touched)) {
            let dim = table.grad.size() / table.list.size();
            grad.truncate(touched.rows.len() * dim as usize);
        }
        Ok(grads)
    }
}
