//! This crate's optimizer on the GPU, with its tensors in one arena or separately allocated.

use std::error::Error;
use std::time::Instant;

use wgpu_adam::{Adam, Config, Dtype, Group, Options, Tensor, View};

use crate::device::{GRAD_SCALE, Gpu};
use crate::shapes::Shape;
use crate::subject::{Subject, Time};

/// How the tensors are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one buffer of parameters and one of gradients.
    Arena,
    /// Separately allocated.
    Scattered,
}

pub struct Ours<'a> {
    gpu: &'a Gpu,
    adam: Adam,
}

/// Returns a configuration for each group: the given one, with a different learning rate for each.
pub fn configs(shapes: &[Shape], config: Config) -> Vec<Config> {
    let groups = 1 + shapes.iter().map(|shape| shape.group).max().unwrap_or(0);
    (0..groups).map(|group| Config { lr: config.lr / (1 + group) as f64, ..config }).collect()
}

impl<'a> Ours<'a> {
    pub fn new(
        gpu: &'a Gpu,
        shapes: &[Shape],
        layout: Layout,
        config: Config,
        options: Options,
    ) -> Result<Self, wgpu_adam::Error> {
        let all = shapes.iter().map(|shape| shape.len).sum();
        let arena = (layout == Layout::Arena).then(|| (gpu.filled(all), gpu.filled(all)));
        let configs = configs(shapes, config);
        let mut groups: Vec<Group> = configs.into_iter().map(|config| Group::new(config, Vec::new())).collect();
        let mut at = 0;
        for (i, shape) in shapes.iter().enumerate() {
            let (param, grad) = match &arena {
                Some((param, grad)) => {
                    (View::f32(param).slice(at..at + shape.len), View::f32(grad).slice(at..at + shape.len))
                }
                None => (View::f32(&gpu.filled(shape.len)), View::f32(&gpu.filled(shape.len))),
            };
            groups[shape.group].tensors.push(Tensor::new(format!("tensor{i}"), param, grad));
            at += shape.len;
        }
        Ok(Self { gpu, adam: Adam::new(&gpu.device, &gpu.queue, &groups, options)? })
    }

    /// Creates an optimizer of one tensor with these dtypes.
    pub fn stored(
        gpu: &'a Gpu,
        elements: u64,
        param: Dtype,
        grad: Dtype,
        config: Config,
        options: Options,
    ) -> Result<Self, wgpu_adam::Error> {
        let view = |dtype| View::new(&gpu.filled_as(dtype, elements), dtype);
        let grad_scale = if grad == Dtype::I32 { GRAD_SCALE } else { 1.0 };
        let tensor = Tensor::new("tensor", view(param), view(grad)).with_grad_scale(grad_scale);
        Ok(Self { gpu, adam: Adam::new(&gpu.device, &gpu.queue, &[Group::new(config, vec![tensor])], options)? })
    }

    pub fn dispatches(&self) -> usize {
        self.adam.dispatches()
    }

    /// Returns the median host time of one step in microseconds: first for recording alone, then including the creation
    /// of the encoder, its end and the submission.
    pub fn host_micros(&self) -> (f64, f64) {
        let (mut record, mut all) = (Vec::new(), Vec::new());
        for _ in 0..101 {
            let start = Instant::now();
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            let begun = Instant::now();
            self.adam.step(&mut encoder);
            record.push(1e6 * begun.elapsed().as_secs_f64());
            self.gpu.queue.submit([encoder.finish()]);
            all.push(1e6 * start.elapsed().as_secs_f64());
            self.gpu.wait();
        }
        for times in [&mut record, &mut all] {
            times.sort_by(f64::total_cmp);
        }
        (record[50], all[50])
    }
}

impl Subject for Ours<'_> {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        Ok(self.gpu.time_pass(|pass| {
            for _ in 0..steps {
                self.adam.step_in_pass(pass);
            }
        }))
    }
}
