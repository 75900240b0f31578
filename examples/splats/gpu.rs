//! The fit on the GPU. The splats, the image and Adam's state stay there. The host reads eight bytes for a score, and the
//! image for a picture.

use crate::{
    optimizer,
    passes::{Passes, tiles},
    readback::Readback,
    splat::COLUMNS,
    surgery::Surgery,
    trainer::{Result, Score, Setup, Trainer},
};
use std::collections::VecDeque;
use wgpu::{Buffer, BufferUsages, Device, PollType, Queue, SubmissionIndex, util::DeviceExt};
use wgpu_adam::Adam;

/// Number of steps in a submission: enough to keep the GPU busy, and few enough to keep submissions short.
const SUBMISSION: u32 = 10;

/// The buffers of the kernels. `passes.rs` and the kernels say what they hold.
pub struct Buffers {
    pub live: Buffer,
    pub param: Buffer,
    pub grad: Buffer,
    pub splats: Buffer,
    pub areas: Buffer,
    pub marks: Buffer,
    pub lists: Buffer,
    pub counts: Buffer,
    pub target: Buffer,
    pub image: Buffer,
    pub slope: Buffer,
    pub stress: Buffer,
    pub score: Buffer,
    pub source: Buffer,
    pub origin: Buffer,
    pub moved: Buffer,
    pub active: Buffer,
}

pub struct Gpu {
    device: Device,
    queue: Queue,
    pub buffers: Buffers,
    passes: Passes,
    surgery: Surgery,
    adam: Adam,
    steps: u32,
    pixels: usize,
    /// Scores that have not arrived.
    scores: VecDeque<(u32, Readback)>,
    /// Submissions that may still run.
    running: VecDeque<SubmissionIndex>,
}

impl Gpu {
    pub fn new(device: Device, queue: Queue, setup: &Setup) -> Result<Self> {
        let Setup { target, most, capacity, ref rows, ref settings } = *setup;
        let buffers = Buffers::new(&device, setup)?;
        let passes = Passes::new(&device, &buffers, target.size, capacity);
        let surgery = Surgery::new(&device, &buffers, [capacity, most]);
        queue.write_buffer(&buffers.param, 0, bytemuck::cast_slice(rows));
        let adam = optimizer::gpu(&device, &queue, [&buffers.param, &buffers.grad, &buffers.active], settings)?;
        Ok(Self {
            device,
            queue,
            buffers,
            passes,
            surgery,
            adam,
            steps: 0,
            pixels: target.pixels.len(),
            scores: VecDeque::new(),
            running: VecDeque::new(),
        })
    }

    /// Reads a buffer back.
    pub fn read<T: bytemuck::Pod>(&self, buffer: &Buffer) -> Result<Vec<T>> {
        Readback::new(&self.device, &self.queue, buffer).wait(&self.device)
    }

    #[cfg(test)]
    pub fn write(&self, buffer: &Buffer, values: &[f32]) {
        self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
    }

    /// Computes the gradient without a step.
    #[cfg(test)]
    pub fn gradient(&self) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.passes.record_gradient(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
    }
}

impl Trainer for Gpu {
    fn advance(&mut self, steps: u32) -> Result<()> {
        for first in (0..steps).step_by(SUBMISSION as usize) {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in first..steps.min(first + SUBMISSION) {
                self.passes.record_gradient(&mut pass);
                self.adam.step_in_pass(&mut pass);
            }
            drop(pass);
            self.running.push_back(self.queue.submit([encoder.finish()]));
            // The host is at most two submissions ahead.
            if self.running.len() > 2 {
                self.device.poll(PollType::Wait { submission_index: self.running.pop_front(), timeout: None })?;
            }
        }
        self.steps += steps;
        Ok(())
    }

    fn refine(&mut self) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.surgery.record(&mut encoder, &self.buffers);
        optimizer::move_state(&mut self.adam, &mut encoder, &self.buffers.source)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.passes.record_score(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
        self.scores.push_back((self.steps, Readback::new(&self.device, &self.queue, &self.buffers.score)));
        Ok(())
    }

    fn score(&mut self, wait: bool) -> Result<Option<Score>> {
        self.device.poll(PollType::Poll)?;
        if !self.scores.front().is_some_and(|(_, readback)| wait || readback.has_arrived()) {
            return Ok(None);
        }
        let Some((step, readback)) = self.scores.pop_front() else { return Ok(None) };
        let numbers: Vec<f32> = readback.wait(&self.device)?;
        let error = f64::from(numbers[0]) / (3 * self.pixels) as f64;
        Ok(Some(Score { step, error, splats: numbers[1] as u32 }))
    }

    fn picture(&mut self) -> Result<Vec<[f32; 3]>> {
        let pixels: Vec<[f32; 4]> = self.read(&self.buffers.image)?;
        Ok(pixels.into_iter().map(|[red, green, blue, _]| [red, green, blue]).collect())
    }

    fn state_bytes(&self) -> Option<u64> {
        let memory = self.adam.memory_use();
        Some(memory.m + memory.v + memory.row_steps)
    }
}

impl Buffers {
    fn new(device: &Device, setup: &Setup) -> Result<Self> {
        let pixels = setup.target.pixels.len();
        let tiles = tiles(setup.target.size).iter().product::<u32>() as usize;
        let rows = setup.capacity;
        fits(device, "the lists of the tiles", 4 * tiles * rows)?;
        let all = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let empty = |label, bytes: usize| {
            let size = bytes as u64;
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: all,
                mapped_at_creation: false,
            })
        };
        let upload = |label, contents: &[u8]| {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage: all })
        };
        let wanted: Vec<[f32; 4]> =
            setup.target.pixels.iter().map(|&[red, green, blue]| [red, green, blue, 0.0]).collect();
        Ok(Self {
            live: upload("live", bytemuck::bytes_of(&(setup.rows.len() as u32))),
            param: empty("param", 4 * COLUMNS * rows),
            grad: empty("grad", 4 * COLUMNS * rows),
            splats: empty("splats", 48 * rows),
            areas: empty("areas", 16 * rows),
            marks: empty("marks", 4 * tiles * rows.div_ceil(32)),
            lists: empty("lists", 4 * tiles * rows),
            counts: empty("counts", 4 * tiles),
            target: upload("target", bytemuck::cast_slice(&wanted)),
            image: empty("image", 16 * pixels),
            slope: empty("slope", 16 * pixels),
            stress: empty("stress", 4 * rows),
            score: empty("score", 8),
            source: empty("source", 4 * rows),
            origin: empty("origin", 4 * rows),
            moved: empty("moved", 4 * COLUMNS * rows),
            active: empty("active", 4 * rows),
        })
    }
}

/// Returns an error if `bytes` do not fit in one buffer of the GPU.
fn fits(device: &Device, what: &str, bytes: usize) -> Result<()> {
    let limits = device.limits();
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size).min(u32::MAX.into());
    if bytes as u64 > limit {
        let problem = format!("{bytes} bytes, but this GPU allows {limit} bytes per buffer");
        return Err(format!("{what}: {problem} (choose fewer splats or a smaller image)").into());
    }
    Ok(())
}
