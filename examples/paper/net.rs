//! The networks: their layers, their equations, and the layout of the buffer that holds all parameters.
//!
//! ```text
//! a[0]   = x                                   a minibatch, one row per image or passage
//! s[l]   = [drop(a[l]), 1] [w[l]; b[l]]
//! a[l+1] = then(s[l])                          see `Then`
//! loss   = mean over the rows of  log(sum(exp(s))) - s[label]                                         Loss::Softmax
//!                             or  sum(log(1 + exp(s)) - x*s) + sum(mu^2 + exp(r) - r - 1) / 2         Loss::Bernoulli
//! ```
//!
//! In training, `drop` sets an element to 0 with a probability, and divides the others by the probability that they stay
//! (Srivastava et al. 2014). The second loss is that of a variational auto-encoder (Kingma & Welling 2014,
//! arXiv:1312.6114): `mu` and `r` are the mean and the log-variance of its code.

use crate::random::Random;
use std::ops::Range;

pub struct Net {
    pub layers: Vec<Layer>,
    pub loss: Loss,
}

#[derive(Clone, Copy)]
pub struct Layer {
    /// The share of the inputs that dropout sets to 0.
    pub drop: f32,
    pub inputs: usize,
    /// The number of columns of `w`.
    pub outputs: usize,
    pub then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// `max(0, s)`
    Rectify,
    /// `log(1 + exp(s))`
    Softplus,
    /// `mu + exp(r/2)*noise`: the first half of the outputs is `mu`, and the second half is `r`. The noise is normal.
    Sample,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Softmax,
    Bernoulli,
}

impl Layer {
    /// The number of elements of a row behind the layer.
    pub fn width(&self) -> usize {
        if self.then == Then::Sample { self.outputs / 2 } else { self.outputs }
    }
}

impl Net {
    /// A classifier with these numbers of hidden units, none for logistic regression. `drop` is the share of dropout in front
    /// of the first layer, and in front of each later one.
    pub fn classifier(features: usize, hidden: &[usize], classes: usize, drop: [f32; 2]) -> Self {
        let widths: Vec<usize> = [features].iter().chain(hidden).chain(&[classes]).copied().collect();
        let layers = widths.windows(2).enumerate().map(|(number, width)| Layer {
            drop: drop[number.min(1)],
            inputs: width[0],
            outputs: width[1],
            then: if number == hidden.len() { Then::Nothing } else { Then::Rectify },
        });
        Self { layers: layers.collect(), loss: Loss::Softmax }
    }

    /// A variational auto-encoder with a hidden layer on each side of its code.
    pub fn autoencoder(features: usize, hidden: usize, code: usize) -> Self {
        let layer = |inputs, outputs, then| Layer { drop: 0.0, inputs, outputs, then };
        let layers = vec![
            layer(features, hidden, Then::Softplus),
            layer(hidden, 2 * code, Then::Sample),
            layer(code, hidden, Then::Softplus),
            layer(hidden, features, Then::Nothing),
        ];
        Self { layers, loss: Loss::Bernoulli }
    }

    /// The first parameter of a layer.
    pub fn start(&self, layer: usize) -> usize {
        self.layers[..layer].iter().map(|layer| (layer.inputs + 1) * layer.outputs).sum()
    }

    pub fn weights(&self, layer: usize) -> Range<usize> {
        let start = self.start(layer);
        start..start + self.layers[layer].inputs * self.layers[layer].outputs
    }

    pub fn biases(&self, layer: usize) -> Range<usize> {
        self.weights(layer).end..self.start(layer + 1)
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.start(self.layers.len())
    }

    /// "784-128-10".
    pub fn shape(&self) -> String {
        let widths = self.layers.iter().map(|layer| format!("-{}", layer.width()));
        self.layers[0].inputs.to_string() + &widths.collect::<String>()
    }

    /// The initial parameters: weights uniform with the variance `1 / inputs`, or `2 / inputs` in front of a rectifier (He et
    /// al. 2015), and biases 0.
    pub fn init(&self, random: &mut Random) -> Vec<f32> {
        let mut param = vec![0.0; self.len()];
        for (number, layer) in self.layers.iter().enumerate() {
            let times = if layer.then == Then::Rectify { 6.0 } else { 3.0 };
            let bound = (times / layer.inputs as f32).sqrt();
            param[self.weights(number)].fill_with(|| random.uniform(bound));
        }
        param
    }
}
