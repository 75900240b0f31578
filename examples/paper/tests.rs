//! Checks the passes: the losses and the gradients of the GPU are compared with those of a second implementation in f64,
//! from the equations of `net.rs`, and with its finite differences.

use crate::{
    data::Data,
    gpu::Gpu,
    net::{Loss, Net, Then},
    random::Random,
    runs::{Run, Runs},
};
use wgpu_adam::Config;

/// Twin of `chance.wgsl`.
struct Chance {
    epoch: u32,
    first: u32,
}

fn hash(x: u32) -> u32 {
    let state = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

fn unit(bits: u32) -> f64 {
    f64::from(bits >> 8) / f64::from(1 << 24)
}

impl Chance {
    fn bits(&self, layer: usize, element: usize) -> u32 {
        let minibatch = hash(self.first.wrapping_add(hash(self.epoch)));
        hash((element as u32).wrapping_add(hash((layer as u32).wrapping_add(minibatch))))
    }

    fn normal(&self, layer: usize, element: usize) -> f64 {
        let bits = self.bits(layer, element);
        (-2.0 * (1.0 - unit(bits)).ln()).sqrt() * (std::f64::consts::TAU * unit(hash(bits))).cos()
    }
}

/// The losses of the rows `data.train[first..first + rows]` as one minibatch.
fn losses(net: &Net, data: &Data, param: &[f64], first: usize, rows: usize) -> Vec<f64> {
    let chance = Chance { epoch: 0, first: first as u32 };
    let of_row = |row: usize| {
        let image = data.train[first + row] as usize;
        let x: Vec<f64> = data.pixels[image * data.features..][..data.features]
            .iter()
            .map(|pixel| f64::from(*pixel) / f64::from(data.white))
            .collect();
        let (mut a, mut divergence) = (x.clone(), 0.0);
        for (number, layer) in net.layers.iter().enumerate() {
            for (column, a) in a.iter_mut().enumerate() {
                let stays = unit(chance.bits(number, row * (layer.inputs + 1) + column)) >= f64::from(layer.drop);
                *a = if stays { *a / (1.0 - f64::from(layer.drop)) } else { 0.0 };
            }
            let (w, b) = (&param[net.weights(number)], &param[net.biases(number)]);
            let s: Vec<f64> = (0..layer.outputs)
                .map(|j| a.iter().enumerate().map(|(i, a)| a * w[i * layer.outputs + j]).sum::<f64>() + b[j])
                .collect();
            a = match layer.then {
                Then::Nothing => s,
                Then::Rectify => s.iter().map(|s| s.max(0.0)).collect(),
                Then::Softplus => s.iter().map(|s| (1.0 + s.exp()).ln()).collect(),
                Then::Sample => {
                    let width = layer.width();
                    let (mu, r) = s.split_at(width);
                    let terms = mu.iter().zip(r).map(|(mu, r)| mu * mu + r.exp() - r - 1.0);
                    divergence += terms.sum::<f64>() / 2.0;
                    let noise = |column| chance.normal(number, row * width + column);
                    (0..width).map(|column| mu[column] + (r[column] / 2.0).exp() * noise(column)).collect()
                }
            };
        }
        match net.loss {
            Loss::Softmax => a.iter().map(|s| s.exp()).sum::<f64>().ln() - a[data.labels[image] as usize],
            Loss::Bernoulli => divergence + a.iter().zip(&x).map(|(s, x)| (1.0 + s.exp()).ln() - x * s).sum::<f64>(),
        }
    };
    (0..rows).map(of_row).collect()
}

fn data(features: usize, classes: usize, rows: usize) -> Data {
    let mut random = Random::new(7);
    let pixels = (0..features * rows).map(|_| (random.uniform(1.0) * 255.0).max(0.0) as u8).collect();
    Data {
        name: String::new(),
        title: String::new(),
        pixels,
        white: 255,
        labels: (0..rows).map(|row| (row * 5 % classes) as u32).collect(),
        features,
        classes,
        train: (0..rows as u32).rev().collect(),
        held_out: vec![],
    }
}

#[test]
fn gradients_match_finite_differences() {
    let gpu = Gpu::open().expect("this test needs an adapter; a software adapter is enough");
    // The networks, and the rows of a minibatch. The last minibatch is short.
    for (net, batch) in [
        (Net::classifier(36, &[], 10, [0.0, 0.0]), 20),
        (Net::classifier(65, &[], 2, [0.5, 0.0]), 33),
        (Net::classifier(12, &[33, 20], 3, [0.2, 0.5]), 30),
        (Net::autoencoder(36, 17, 5), 20),
    ] {
        let (features, runs) = (net.layers[0].inputs, 2);
        let data = data(features, net.layers[net.layers.len() - 1].outputs, batch + batch / 2);
        let mut random = Random::new(3);
        let params: Vec<Vec<f32>> = (0..runs).map(|_| (0..net.len()).map(|_| random.uniform(0.4)).collect()).collect();
        let run = Run::from(Config::default());
        let side_by_side =
            Runs::from_params(&gpu, &data, &net, batch, &vec![run; runs], &params, Random::new(0)).unwrap();
        for minibatch in 0..2 {
            let (first, rows) = (minibatch * batch, [batch, batch / 2][minibatch]);
            let [grads, stats] = side_by_side.gradient(minibatch).unwrap();
            let each = grads.len() / runs;
            for (run, param) in params.iter().enumerate() {
                let mut param: Vec<f64> = param.iter().map(|param| f64::from(*param)).collect();
                let want = losses(&net, &data, &param, first, rows);
                let got = &stats[2 * (run * data.train.len() + first)..];
                for (row, want) in want.iter().enumerate() {
                    assert!((f64::from(got[2 * row]) - want).abs() < 1e-5 * want, "{} is not {want}", got[2 * row]);
                }
                let grad = &grads[run * each..][..net.len()];
                let norm = grad.iter().map(|grad| f64::from(grad * grad)).sum::<f64>().sqrt();
                let mut worst: f64 = 0.0;
                for at in (0..net.len()).step_by((net.len() / 30).max(1)).chain([net.len() - 1]) {
                    let kept = param[at];
                    let mut beside = |by: f64| {
                        param[at] = kept + by;
                        losses(&net, &data, &param, first, rows).iter().sum::<f64>() / rows as f64
                    };
                    let slope = (beside(1e-6) - beside(-1e-6)) / 2e-6;
                    param[at] = kept;
                    worst = worst.max((slope - f64::from(grad[at])).abs() / norm);
                }
                println!("{}, network {run}, {rows} rows: error {worst:.1e} of the gradient's norm", net.shape());
                // WGSL allows `exp` an error of about 2e-6.
                assert!(worst < 4e-6);
            }
        }
    }
}
