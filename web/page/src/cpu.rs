//! The network and its optimizer on the CPU, for browsers without WebGPU, and for reading a single digit.

use crate::{Result, data::Data, digits::Scores, network::Network, settings::Settings};
use std::ops::Range;
use wasm_bindgen::JsError;
use wgpu_adam::cpu::{Adam, Group, Tensor, TensorMut};
use wgpu_adam::{Error, State};

pub struct Cpu {
    network: Network,
    pub param: Vec<f32>,
    grad: Vec<f32>,
    adam: Adam,
}

/// The tensors in the order of the groups: the weights, and then the biases.
pub fn tensor_ranges(network: &Network) -> [(&'static str, Range<usize>); 4] {
    [
        ("hidden.weight", network.w1()),
        ("output.weight", network.w2()),
        ("hidden.bias", network.b1()),
        ("output.bias", network.b2()),
    ]
}

/// Borrows each tensor's part of the parameters and of the gradients, in the order of the groups.
pub fn slots<'a>(network: &Network, param: &'a mut [f32], grad: &'a mut [f32]) -> [TensorMut<'a>; 4] {
    let parts = |all: &'a mut [f32]| {
        let (w1, rest) = all.split_at_mut(network.w1().len());
        let (b1, rest) = rest.split_at_mut(network.b1().len());
        let (w2, b2) = rest.split_at_mut(network.w2().len());
        [w1, w2, b1, b2]
    };
    let ([w1, w2, b1, b2], [dw1, dw2, db1, db2]) = (parts(param), parts(grad));
    [TensorMut::new(w1, dw1), TensorMut::new(w2, dw2), TensorMut::new(b1, db1), TensorMut::new(b2, db2)]
}

/// Returns the pixels of a row of the data as numbers from 0 to 1.
fn pixels(data: &Data, row: u32) -> Vec<f32> {
    let pixels = &data.pixels[row as usize * data.features..][..data.features];
    pixels.iter().map(|&pixel| f32::from(pixel) / f32::from(data.white)).collect()
}

/// Computes `start + x weights`. Each row of the weights belongs to an element of `x`.
fn layer(x: &[f32], weights: &[f32], start: &[f32]) -> Vec<f32> {
    let mut sum = start.to_vec();
    for (x, weights) in x.iter().zip(weights.chunks(start.len())).filter(|(x, _)| **x != 0.0) {
        sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
    }
    sum
}

/// Returns the hidden layer and the probability of each class.
pub fn forward(network: &Network, param: &[f32], x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut h = layer(x, &param[network.w1()], &param[network.b1()]);
    h.iter_mut().for_each(|h| *h = h.max(0.0));
    let mut z = layer(&h, &param[network.w2()], &param[network.b2()]);
    let top = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    z.iter_mut().for_each(|z| *z = (*z - top).exp());
    let sum: f32 = z.iter().sum();
    z.iter_mut().for_each(|z| *z /= sum);
    (h, z)
}

impl Cpu {
    pub fn new(network: Network, param: &[f32], settings: &Settings) -> Result<Self> {
        Ok(Self {
            network,
            param: param.to_vec(),
            grad: vec![0.0; network.len()],
            adam: optimizer(&network, settings)?,
        })
    }

    /// Trains on these minibatches of rows, as on the GPU.
    pub fn run<'a>(
        &mut self,
        data: &Data,
        batches: impl ExactSizeIterator<Item = &'a [u32]>,
        mut poisoned: Option<usize>,
    ) -> Result<Scores> {
        let last = batches.len() - 1;
        let (mut train, mut measured) = (Vec::new(), None);
        for (i, rows) in batches.enumerate() {
            train.extend(self.gradient(data, rows));
            if let Some(element) = poisoned.take() {
                self.grad[element] = f32::NAN;
            }
            let slots = &mut slots(&self.network, &mut self.param, &mut self.grad);
            if i == last {
                measured = Some(self.adam.step_measured(slots)?);
            } else {
                self.adam.step(slots)?;
            }
        }
        let (report, insight) = measured.ok_or_else(|| JsError::new("a run has no step"))?;
        let exam = data.held_out.iter().flat_map(|&row| {
            let probability = forward(&self.network, &self.param, &pixels(data, row)).1;
            stats(&probability, data.labels[row as usize] as usize)
        });
        Ok(Scores { train, exam: exam.collect(), report, insight })
    }

    /// Leaves the gradient of the mean loss in `grad`. Returns the loss of each row, and whether it is read correctly.
    fn gradient(&mut self, data: &Data, rows: &[u32]) -> Vec<f32> {
        let Network { hidden, classes, .. } = self.network;
        self.grad.fill(0.0);
        let mut all = Vec::new();
        for &row in rows {
            let (x, label) = (pixels(data, row), data.labels[row as usize] as usize);
            let (h, probability) = forward(&self.network, &self.param, &x);
            all.extend(stats(&probability, label));
            let mut dz = probability;
            dz[label] -= 1.0;
            dz.iter_mut().for_each(|dz| *dz /= rows.len() as f32);
            let w2 = self.param[self.network.w2()].chunks(classes);
            let dh = h.iter().zip(w2).map(|(h, w2)| match *h > 0.0 {
                true => w2.iter().zip(&dz).map(|(w2, dz)| w2 * dz).sum(),
                false => 0.0,
            });
            let dh: Vec<f32> = dh.collect();
            let (layer1, layer2) = self.grad.split_at_mut(self.network.w2().start);
            outer(layer1, &x, &dh, hidden);
            outer(layer2, &h, &dz, classes);
        }
        all
    }

    pub fn state(&self) -> State {
        self.adam.state()
    }

    pub fn bytes(&self) -> u64 {
        self.adam.state().tensors.iter().flat_map(|tensor| &tensor.state).map(|state| state.bytes.len() as u64).sum()
    }

    pub fn adjust(&mut self, settings: &Settings) -> Result<bool> {
        for (group, config) in settings.configs().into_iter().enumerate() {
            match self.adam.set_config(group, config) {
                Err(Error::OtherRule { .. }) => return Ok(false),
                changed => changed?,
            }
            self.adam.set_schedule(group, settings.schedule())?;
        }
        Ok(true)
    }

    pub fn replace(&mut self, settings: &Settings) -> Result<()> {
        self.adam = optimizer(&self.network, settings)?;
        Ok(())
    }

    pub fn load(&mut self, settings: &Settings, param: &[f32], state: &State) -> Result<()> {
        let mut adam = optimizer(&self.network, settings)?;
        adam.load_state(state)?;
        self.adam = adam;
        self.param = param.to_vec();
        Ok(())
    }
}

fn optimizer(network: &Network, settings: &Settings) -> Result<Adam> {
    let mut tensors = tensor_ranges(network).map(|(name, at)| Tensor::new(name, at.len())).into_iter();
    let groups = settings
        .configs()
        .map(|config| Group::new(config, tensors.by_ref().take(2).collect()).with_schedule(settings.schedule()));
    Ok(Adam::new(&groups, settings.options())?)
}

/// Adds the outer product of `[x, 1]` and `d` to a layer's gradient: the weights, and then the bias.
fn outer(layer: &mut [f32], x: &[f32], d: &[f32], width: usize) {
    for (sums, x) in layer.chunks_mut(width).zip(x.iter().chain([&1.0])).filter(|(_, x)| **x != 0.0) {
        sums.iter_mut().zip(d).for_each(|(sum, d)| *sum += x * d);
    }
}

/// Returns the loss of a row, and 1 if it is read correctly, otherwise 0.
fn stats(probability: &[f32], label: usize) -> [f32; 2] {
    let best =
        (1..probability.len()).fold(0, |best, class| if probability[class] > probability[best] { class } else { best });
    [-probability[label].max(f32::MIN_POSITIVE).ln(), f32::from(u8::from(best == label))]
}
