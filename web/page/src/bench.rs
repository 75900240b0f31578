//! An optimizer to measure: Adam over tensors of one size.

use crate::{
    Result,
    device::{Device, finished},
    gpu::upload,
    settings::Moments,
};
use wasm_bindgen::prelude::*;
use wgpu::{Buffer, BufferUsages, Queue};
use wgpu_adam::{Adam, Config, Group, Options, Tensor, View};

#[wasm_bindgen]
pub struct Bench {
    device: wgpu::Device,
    queue: Queue,
    adam: Adam,
    buffers: Vec<Buffer>,
}

#[wasm_bindgen]
impl Bench {
    /// Makes an optimizer for tensors in f32, with moments in that format. `arena` places them in one buffer of
    /// parameters and one of gradients. Otherwise each has buffers of its own.
    pub async fn create(device: &Device, moments: String, tensors: u32, elements: u32, arena: bool) -> Result<Bench> {
        let Device { device, queue, .. } = device;
        let moments: Moments = serde_json::from_value(moments.into())?;
        let (buffers, held) = if arena { (1, tensors) } else { (tensors, 1) };
        let (len, stride) = (u64::from(elements), u64::from(elements).next_multiple_of(64));
        let ones = vec![1.0_f32; (u64::from(held) * stride) as usize];
        let buffer = |_| upload(device, "bench", bytemuck::cast_slice(&ones), BufferUsages::STORAGE);
        let buffers: Vec<Buffer> = (0..2 * buffers).map(buffer).collect();
        let tensors = buffers.chunks(2).flat_map(|pair| (0..u64::from(held)).map(move |i| (pair, i * stride)));
        let tensors = tensors.enumerate().map(|(i, (pair, start))| {
            let view = |buffer| View::f32(buffer).slice(start..start + len);
            Tensor::new(i.to_string(), view(&pair[0]), view(&pair[1]))
        });
        let groups = [Group::new(Config::default(), tensors.collect())];
        let options = Options { precision: moments.precision(), ..Options::default() };
        let adam = Adam::new_async(device, queue, &groups, options).await?;
        Ok(Self { device: device.clone(), queue: queue.clone(), adam, buffers })
    }

    /// Makes steps, each in a submission of its own, and waits until the GPU has finished.
    pub async fn steps(&self, steps: u32) -> Result<()> {
        for _ in 0..steps {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            self.adam.step(&mut encoder);
            self.queue.submit([encoder.finish()]);
        }
        finished(&self.queue).await
    }

    /// The bytes of the optimizer's state.
    pub fn bytes(&self) -> f64 {
        self.adam.memory_use().total() as f64
    }

    /// Frees the memory of the GPU at once.
    pub fn destroy(self) {
        self.buffers.iter().for_each(Buffer::destroy);
    }
}
