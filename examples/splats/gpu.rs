//! The fit on the GPU. The splats, the image and Adam's state stay there. The host reads eight bytes for a score, and the
//! image for a picture.

use crate::{
    fit::{Buffers, Fit},
    passes::tiles,
    readback::Readback,
    setup::{Score, Setup},
    trainer::{Result, Trainer},
};
use std::collections::VecDeque;
use wgpu::{Buffer, Device, PollType, Queue, SubmissionIndex};
use wgpu_adam::Adam;

/// Number of steps in a submission: enough to keep the GPU busy, and few enough to keep submissions short.
const SUBMISSION: u32 = 10;

pub struct Gpu {
    device: Device,
    queue: Queue,
    pub fit: Fit,
    steps: u32,
    pixels: usize,
    /// Scores that have not arrived.
    scores: VecDeque<(u32, Readback)>,
    /// Submissions that may still run.
    running: VecDeque<SubmissionIndex>,
}

impl Gpu {
    pub fn new(device: Device, queue: Queue, setup: &Setup) -> Result<Self> {
        let lists = tiles(setup.target.size).iter().product::<u32>() as usize;
        fits(&device, "the lists of the tiles", 4 * lists * setup.capacity)?;
        let buffers = Buffers::new(&device, setup);
        let group = setup.settings.group(buffers.of_optimizer());
        let adam = Adam::new(&device, &queue, &[group], setup.settings.options())?;
        let fit = Fit::new(&device, buffers, adam, setup);
        let pixels = setup.target.pixels.len();
        Ok(Self { device, queue, fit, steps: 0, pixels, scores: VecDeque::new(), running: VecDeque::new() })
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
        self.fit.passes.record_gradient(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
    }
}

impl Trainer for Gpu {
    fn advance(&mut self, steps: u32) -> Result<()> {
        for first in (0..steps).step_by(SUBMISSION as usize) {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in first..steps.min(first + SUBMISSION) {
                self.fit.record_step(&mut pass);
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
        self.fit.record_surgery(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.fit.passes.record_score(&mut encoder.begin_compute_pass(&Default::default()));
        self.queue.submit([encoder.finish()]);
        self.scores.push_back((self.steps, Readback::new(&self.device, &self.queue, &self.fit.buffers.score)));
        Ok(())
    }

    fn score(&mut self, wait: bool) -> Result<Option<Score>> {
        self.device.poll(PollType::Poll)?;
        if !self.scores.front().is_some_and(|(_, readback)| wait || readback.has_arrived()) {
            return Ok(None);
        }
        let Some((step, readback)) = self.scores.pop_front() else { return Ok(None) };
        let numbers: Vec<[f32; 2]> = readback.wait(&self.device)?;
        Ok(Some(Score::new(step, numbers[0], self.pixels)))
    }

    fn picture(&mut self) -> Result<Vec<[f32; 3]>> {
        let pixels: Vec<[f32; 4]> = self.read(&self.fit.buffers.image)?;
        Ok(pixels.into_iter().map(|[red, green, blue, _]| [red, green, blue]).collect())
    }

    fn state_bytes(&self) -> Option<u64> {
        let memory = self.fit.adam.memory_use();
        Some(memory.m + memory.v + memory.row_steps)
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
