//! The network: its equations, its shapes, and the layout of the buffer that holds all parameters.
//!
//! ```text
//! x    = [pixels, 1]                        a minibatch, one row per image; the 1 is for the bias
//! h    = [max(0, x [w1; b1]), 1]
//! z    = h [w2; b2]
//! loss = mean over the rows of  log(sum(exp(z))) - z[label]
//!
//! dz         = (softmax(z) - onehot(label)) / rows
//! d[w2; b2]  = hᵀ dz
//! dh         = dz w2ᵀ  where h > 0, else 0
//! d[w1; b1]  = xᵀ dh
//! ```
//!
//! The gradients are in a second buffer with the same layout.

use crate::random::Random;
use std::ops::Range;

#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub features: usize,
    pub hidden: usize,
    pub classes: usize,
}

impl Network {
    pub fn w1(&self) -> Range<usize> {
        0..self.features * self.hidden
    }

    pub fn b1(&self) -> Range<usize> {
        self.w1().end..self.w1().end + self.hidden
    }

    pub fn w2(&self) -> Range<usize> {
        self.b1().end..self.b1().end + self.hidden * self.classes
    }

    pub fn b2(&self) -> Range<usize> {
        self.w2().end..self.len()
    }

    /// Returns the number of parameters.
    pub fn len(&self) -> usize {
        (self.features + 1) * self.hidden + (self.hidden + 1) * self.classes
    }

    /// Returns the initial parameters: weights uniform within `sqrt(6 / inputs)` (He et al. 2015), biases 0.
    pub fn init(&self, random: &mut Random) -> Vec<f32> {
        let mut param = vec![0.0; self.len()];
        for (weights, inputs) in [(self.w1(), self.features), (self.w2(), self.hidden)] {
            let bound = (6.0 / inputs as f32).sqrt();
            param[weights].fill_with(|| random.uniform(bound));
        }
        param
    }
}
