//! The CPU counterpart, `cpu::Adam`, on slices.

use std::error::Error;

use wgpu_adam::{Config, Options, cpu};

use crate::ours::configs;
use crate::shapes::Shape;
use crate::stopwatch::Stopwatch;
use crate::subject::{Subject, Time};

pub struct Twin {
    adam: cpu::Adam,
    params: Vec<Vec<f32>>,
    grads: Vec<Vec<f32>>,
}

impl Twin {
    pub fn new(shapes: &[Shape], config: Config, options: Options) -> Result<Self, wgpu_adam::Error> {
        let mut groups: Vec<cpu::Group> =
            configs(shapes, config).into_iter().map(|config| cpu::Group::new(config, Vec::new())).collect();
        for (i, shape) in shapes.iter().enumerate() {
            groups[shape.group].tensors.push(cpu::Tensor::new(format!("tensor{i}"), shape.len as usize));
        }
        let lens = groups.iter().flat_map(|group| &group.tensors).map(|tensor| tensor.len);
        let values = || -> Vec<Vec<f32>> {
            lens.clone().map(|len| (0..len).map(|i| 0.5 + (i * 977 % 1021) as f32 / 1021.0).collect()).collect()
        };
        let (params, grads) = (values(), values());
        Ok(Self { adam: cpu::Adam::new(&groups, options)?, params, grads })
    }
}

impl Subject for Twin {
    fn run(&mut self, steps: u32) -> Result<Time, Box<dyn Error>> {
        let start = Stopwatch::start();
        for _ in 0..steps {
            let values = self.params.iter_mut().zip(&mut self.grads);
            let mut slots: Vec<cpu::TensorMut> = values.map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
            self.adam.step(&mut slots)?;
        }
        Ok(Time { wall: start.ms(), device: None })
    }
}
