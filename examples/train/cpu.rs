//! The same training on the CPU: plain loops that the compiler vectorizes. Each task computes a few rows of a product.

use crate::{
    minibatch::{Batch, batches},
    network::Network,
    trainer::{Epoch, Result, Score, Setup, Trainer, is_measured},
};
use half::bf16;
use rayon::prelude::*;
use wgpu_adam::probe::Insight;
use wgpu_adam::{Dtype, Report, cpu};

/// Number of multiplications that is worth a task.
const TASK: usize = 1 << 18;

pub struct Cpu<'a> {
    pub setup: Setup<'a>,
    pub grad: Vec<f32>,
    /// The parameters, if they are stored in 16 bits. Otherwise empty.
    stored: Vec<bf16>,
    adam: cpu::Adam,
    // Named as in the equations of `network.rs`. `z` becomes dz, and `h` becomes dh except for its column of ones.
    x: Vec<f32>,
    h: Vec<f32>,
    z: Vec<f32>,
}

impl<'a> Cpu<'a> {
    pub fn new(mut setup: Setup<'a>) -> Result<Self> {
        let Network { features, hidden, classes } = setup.network;
        let network = setup.network;
        let [decaying, plain] = setup.configs();
        let format = setup.storage.dtype();
        let tensor = |name, len| cpu::Tensor::new(name, len).with_dtypes(format, Dtype::F32);
        let stored = match format {
            Dtype::Bf16 => setup.param.iter().map(|x| bf16::from_f32(*x)).collect(),
            _ => Vec::new(),
        };
        widen(&stored, &mut setup.param);
        let groups = [
            cpu::Group::new(decaying, vec![tensor("w1", network.w1().len()), tensor("w2", network.w2().len())]),
            cpu::Group::new(plain, vec![tensor("b1", network.b1().len()), tensor("b2", network.b2().len())]),
        ]
        .map(|group| group.with_schedule(setup.schedule.clone()));
        Ok(Self {
            grad: vec![0.0; network.len()],
            stored,
            adam: cpu::Adam::new(&groups, setup.options())?,
            x: vec![0.0; setup.batch * (features + 1)],
            h: vec![1.0; setup.batch * (hidden + 1)],
            z: vec![0.0; setup.batch * classes],
            setup,
        })
    }

    /// Returns the sum of the rows' losses and the number of correct predictions. Leaves dz in `z`.
    fn forward(&mut self, rows: &[u32]) -> (f64, u32) {
        let Network { features, hidden, classes } = self.setup.network;
        let data = self.setup.data;
        let scale = 1.0 / f32::from(data.white);
        for (x, &row) in self.x.chunks_mut(features + 1).zip(rows) {
            let pixels = &data.pixels[row as usize * features..][..features];
            for (x, &pixel) in x.iter_mut().zip(pixels) {
                *x = f32::from(pixel) * scale;
            }
            x[features] = 1.0;
        }
        let (layer1, layer2) = self.setup.param.split_at(self.setup.network.w2().start);

        let (x, h) = (&self.x, &mut self.h[..rows.len() * (hidden + 1)]);
        product(h, hidden + 1, hidden, features + 1, |row, k| x[row * (features + 1) + k], layer1, hidden);
        for h in h.chunks_mut(hidden + 1) {
            h[..hidden].iter_mut().for_each(|h| *h = h.max(0.0));
        }
        let (h, z) = (&self.h, &mut self.z[..rows.len() * classes]);
        product(z, classes, classes, hidden + 1, |row, k| h[row * (hidden + 1) + k], layer2, classes);

        let (mut loss, mut correct) = (0.0, 0);
        for (z, &row) in z.chunks_mut(classes).zip(rows) {
            let label = data.labels[row as usize] as usize;
            let best = (1..classes).fold(0, |best, class| if z[class] > z[best] { class } else { best });
            let top = z[best];
            let sum: f32 = z.iter().map(|z| (z - top).exp()).sum();
            loss += f64::from(sum.ln() - (z[label] - top));
            correct += u32::from(best == label);
            for (class, z) in z.iter_mut().enumerate() {
                let softmax = (*z - top).exp() / sum;
                *z = (softmax - f32::from(u8::from(class == label))) / rows.len() as f32;
            }
        }
        (loss, correct)
    }

    /// Leaves the gradient of the mean loss of those rows in `grad`. Returns the result of `forward`.
    pub fn gradient(&mut self, rows: &[u32]) -> (f64, u32) {
        let scores = self.forward(rows);
        let Network { features, hidden, classes } = self.setup.network;
        let (layer1, layer2) = self.grad.split_at_mut(self.setup.network.w2().start);
        let w2 = &self.setup.param[self.setup.network.w2()];
        let (x, z) = (&self.x, &self.z);

        let h = &self.h;
        product(layer2, classes, classes, rows.len(), |i, row| h[row * (hidden + 1) + i], z, classes);
        for (h, dz) in self.h.chunks_mut(hidden + 1).zip(z.chunks(classes)).take(rows.len()) {
            for (h, w2) in h.iter_mut().zip(w2.chunks(classes)) {
                let sum = dz.iter().zip(w2).map(|(dz, w2)| dz * w2).sum();
                *h = if *h > 0.0 { sum } else { 0.0 };
            }
        }
        let dh = &self.h;
        product(layer1, hidden, hidden, rows.len(), |i, row| x[row * (features + 1) + i], dh, hidden + 1);
        scores
    }

    /// Makes one step. Returns its measurements if `measured`.
    fn step(&mut self, measured: bool) -> Result<Option<Insight>> {
        let network = self.setup.network;
        let [w1, b1, w2, b2] = match self.stored.is_empty() {
            true => parts(network, &mut self.setup.param).map(cpu::Values::from),
            false => parts(network, &mut self.stored).map(cpu::Values::from),
        };
        let [dw1, db1, dw2, db2] = parts(network, &mut self.grad);
        let slot = cpu::TensorMut::new;
        let slots = &mut [slot(w1, dw1), slot(w2, dw2), slot(b1, db1), slot(b2, db2)];
        let insight = if measured {
            Some(self.adam.step_measured(slots)?.1)
        } else {
            self.adam.step(slots)?;
            None
        };
        widen(&self.stored, &mut self.setup.param);
        Ok(insight)
    }
}

impl Trainer for Cpu<'_> {
    fn epoch(&mut self, order: &[u32], done: &dyn Fn(u64)) -> Result<Epoch> {
        let size = self.setup.batch;
        let rows = |order: &[u32], Batch { first, rows }| order[first as usize..][..rows as usize].to_vec();
        let (mut train, mut insights) = ((0.0, 0), Vec::new());
        let steps = order.len().div_ceil(size);
        for (step, batch) in batches(0, order.len(), size).enumerate() {
            let (loss, correct) = self.gradient(&rows(order, batch));
            insights.extend(self.step(is_measured(step, steps))?);
            train = (train.0 + loss, train.1 + correct);
            done(1);
        }
        let held_out_rows = &self.setup.data.held_out;
        let mut held_out = (0.0, 0);
        for batch in batches(0, held_out_rows.len(), size) {
            let (loss, correct) = self.forward(&rows(held_out_rows, batch));
            held_out = (held_out.0 + loss, held_out.1 + correct);
            done(1);
        }
        let score = |(loss, correct), rows| Score { loss: loss / rows as f64, correct, rows: rows as u32 };
        Ok(Epoch { train: score(train, order.len()), held_out: score(held_out, held_out_rows.len()), insights })
    }

    fn report(&mut self) -> Result<Report> {
        Ok(self.adam.report())
    }
}

/// Converts parameters that are stored in 16 bits to f32.
fn widen(stored: &[bf16], param: &mut [f32]) {
    param.iter_mut().zip(stored).for_each(|(param, stored)| *param = stored.to_f32());
}

/// Splits the buffer of all parameters into w1, b1, w2 and b2.
fn parts<T>(network: Network, all: &mut [T]) -> [&mut [T]; 4] {
    let (w1, rest) = all.split_at_mut(network.w1().len());
    let (b1, rest) = rest.split_at_mut(network.b1().len());
    let (w2, b2) = rest.split_at_mut(network.w2().len());
    [w1, b1, w2, b2]
}

/// Computes C = A B with `n` columns, summed over `k`. Rows of C and B start `c_row` and `b_row` elements apart.
/// Elements of C beyond column `n` keep their values.
fn product(
    c: &mut [f32],
    c_row: usize,
    n: usize,
    k: usize,
    a: impl Fn(usize, usize) -> f32 + Sync,
    b: &[f32],
    b_row: usize,
) {
    let rows = (TASK / (n * k)).max(4);
    c.par_chunks_mut(rows * c_row).enumerate().for_each(|(task, c)| {
        // Four rows at a time, so each row of B is used four times while it is in the cache.
        for (four, c) in c.chunks_mut(4 * c_row).enumerate() {
            let first = task * rows + four * 4;
            c.chunks_mut(c_row).for_each(|c| c[..n].fill(0.0));
            for depth in 0..k {
                let b = &b[depth * b_row..][..n];
                for (row, c) in c.chunks_mut(c_row).enumerate() {
                    let a = a(first + row, depth);
                    // Most pixels of an image are 0, and so is half of h.
                    if a != 0.0 {
                        c[..n].iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
                    }
                }
            }
        }
    });
}
