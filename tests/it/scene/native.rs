//! What waits for the device: making an optimizer of a scene, and reading from the device.

use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Error, Probe, cpu};

use super::gpu::Gpu;
use super::layout::Scene;
use super::run::{Run, Seen};

impl Scene {
    pub fn start(&self, gpu: &Gpu) -> Run {
        self.try_start(gpu).unwrap()
    }

    pub fn try_start(&self, gpu: &Gpu) -> Result<Run, Error> {
        let placed = self.place(gpu);
        let adam = Adam::new(&gpu.device, &gpu.queue, &placed.groups, self.options.clone())?;
        Ok(self.run(placed, adam))
    }
}

impl Run {
    /// Makes one step on both sides with the current gradients, and returns both measurements.
    pub fn measured_step(&mut self, gpu: &Gpu, probe: &Probe) -> (Insight, Insight) {
        self.upload_grads(gpu);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        probe.step(&self.adam, &mut encoder).unwrap();
        gpu.queue.submit([encoder.finish()]);
        let got = pollster::block_on(probe.read(&self.adam)).unwrap();
        (got, self.twin_step_by(cpu::Adam::step_measured).1)
    }

    /// Returns the first difference, if any, as [`difference_from`](Self::difference_from) does.
    pub fn difference(&self, gpu: &Gpu) -> Option<String> {
        let seen = Seen {
            params: self.param_buffers.iter().map(|buffer| gpu.read(buffer)).collect(),
            state: gpu.state(&self.adam),
            grads: self.grad_buffers.iter().map(|buffer| gpu.read(buffer)).collect(),
            report: gpu.report(&self.adam),
        };
        self.difference_from(seen, gpu)
    }

    pub fn assert_same(&self, gpu: &Gpu) {
        if let Some(difference) = self.difference(gpu) {
            panic!("{difference}");
        }
    }
}
