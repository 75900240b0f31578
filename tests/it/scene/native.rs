//! What waits for the device: making an optimizer of a scene, and reading from the device.

use wgpu_adam::probe::Insight;
use wgpu_adam::{Adam, Error, Grads, GradsSet, Probe, State, View, cpu};

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

    /// The same, with gradients that are given to each step: see [`Run::move_grads`].
    pub fn try_start_moving(&self, gpu: &Gpu) -> Result<Run, Error> {
        let mut placed = self.place(gpu);
        for tensor in placed.groups.iter_mut().flat_map(|group| &mut group.tensors) {
            tensor.grad = Grads::EachStep { len: tensor.grad.len(), dtype: tensor.grad.dtype() };
        }
        let adam = Adam::new(&gpu.device, &gpu.queue, &placed.groups, self.options.clone())?;
        Ok(self.run(placed, adam))
    }
}

impl Run {
    /// Sets the gradients to those in the buffers of the run.
    pub fn set_grads(&mut self, gpu: &Gpu) -> Result<GradsSet, Error> {
        let views: Vec<Option<View>> =
            self.scene.order().iter().map(|spot| Some(spot.grad_view(&self.grad_buffers))).collect();
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let set = self.adam.set_grads(&mut encoder, &views);
        gpu.queue.submit([encoder.finish()]);
        set
    }

    /// Puts the gradients into new buffers.
    pub fn move_grads(&mut self, gpu: &Gpu) -> GradsSet {
        self.grad_buffers = self.grads.iter().map(|grads| gpu.buffer(grads)).collect();
        self.set_grads(gpu).unwrap()
    }

    /// Makes one step on both sides with the current gradients, and returns both measurements.
    pub fn measured_step(&mut self, gpu: &Gpu, probe: &Probe) -> (Insight, Insight) {
        self.upload_grads(gpu);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        probe.step(&self.adam, &mut encoder).unwrap();
        gpu.queue.submit([encoder.finish()]);
        let got = pollster::block_on(probe.read(&self.adam)).unwrap();
        (got, self.twin_step_by(cpu::Adam::step_measured).1)
    }

    /// Changes the params of both sides to those for evaluation, or back to those for training.
    pub fn change_mode(&mut self, gpu: &Gpu, evaluates: bool) {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        if evaluates {
            self.adam.eval_mode(&mut encoder);
            self.twin_step_by(cpu::Adam::eval_mode);
        } else {
            self.adam.train_mode(&mut encoder);
            self.twin_step_by(cpu::Adam::train_mode);
        }
        gpu.queue.submit([encoder.finish()]);
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

    /// A run of the same scene with the params of this one, on both sides, and an optimizer that has made no steps.
    pub fn fresh(&self, gpu: &Gpu) -> Self {
        let mut fresh = self.scene.start(gpu);
        for (to, from) in fresh.param_buffers.iter().zip(&self.param_buffers) {
            gpu.write(to, &gpu.read(from));
        }
        (fresh.params, fresh.steps, fresh.largest) = (self.params.clone(), self.steps, self.largest.clone());
        fresh
    }

    /// A fresh run that has loaded the state of this one. Each side has its own, which are equal on a CPU adapter.
    pub fn resumed(&self, gpu: &Gpu) -> Self {
        let state = State::from_bytes(&gpu.state(&self.adam).to_bytes().unwrap()).unwrap();
        let mut resumed = self.fresh(gpu);
        pollster::block_on(resumed.adam.load_state(&state)).unwrap();
        resumed.twin.load_state(&self.twin.state()).unwrap();
        assert_eq!(gpu.state(&resumed.adam), state);
        resumed
    }

    pub fn assert_same(&self, gpu: &Gpu) {
        if let Some(difference) = self.difference(gpu) {
            panic!("{difference}");
        }
    }
}
