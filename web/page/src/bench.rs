//! The time and the memory of a step.

use crate::{
    Result,
    device::{Device, finished},
    gpu::empty,
    settings::Moments,
};
use wasm_bindgen::prelude::*;
use wgpu::BufferUsages;
use wgpu_adam::{Adam, Config, Group, Options, Tensor, View};

#[wasm_bindgen]
pub struct Measured {
    /// The median time of a step in milliseconds.
    pub ms: f64,
    /// The bytes of the optimizer's state.
    pub bytes: f64,
}

#[wasm_bindgen]
impl Device {
    /// Measures Adam over `elements` parameters in f32, with moments in that format: the median of `rounds` rounds.
    pub async fn measure(&self, moments: String, elements: u32, rounds: u32) -> Result<Measured> {
        let moments: Moments = serde_json::from_value(moments.into())?;
        let storage = || empty(&self.device, "bench", elements as usize, BufferUsages::STORAGE);
        let (param, grad) = (storage(), storage());
        let tensor = Tensor::new("w", View::f32(&param), View::f32(&grad));
        let options = Options { precision: moments.precision(), ..Options::default() };
        let groups = [Group::new(Config::default(), vec![tensor])];
        let adam = Adam::new_async(&self.device, &self.queue, &groups, options).await?;
        // The first step is slow, since the driver finishes the kernels. The others say how many make a round of 0.1 s.
        self.steps(&adam, 1).await?;
        let probed = self.steps(&adam, 4).await? / 4.0;
        let steps = (100.0 / probed.max(0.01)).clamp(1.0, 400.0) as u32;
        let mut times = Vec::new();
        for _ in 0..rounds.max(1) {
            times.push(self.steps(&adam, steps).await? / f64::from(steps));
        }
        times.sort_by(f64::total_cmp);
        let bytes = adam.memory_use().total() as f64;
        drop(adam);
        param.destroy();
        grad.destroy();
        Ok(Measured { ms: times[times.len() / 2], bytes })
    }

    /// Makes steps, and returns how long they take until the GPU has finished, in milliseconds.
    async fn steps(&self, adam: &Adam, steps: u32) -> Result<f64> {
        let clock = web_sys::window().and_then(|window| window.performance());
        let now = || clock.as_ref().map_or_else(js_sys::Date::now, web_sys::Performance::now);
        let start = now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        (0..steps).for_each(|_| adam.step_in_pass(&mut pass));
        drop(pass);
        self.queue.submit([encoder.finish()]);
        finished(&self.queue).await?;
        Ok(now() - start)
    }
}
