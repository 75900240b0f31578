//! A peer that runs AdamW of candle-optimisers on the CPU. `benches/README.md` describes the protocol.

use std::io::{BufRead, Write};
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Optimizer;
use candle_optimisers::Decay;
use candle_optimisers::adam::{Adam, ParamsAdam};

/// Returns the optimizer and its gradients. Only a backward pass can create a `GradStore`, so the loss is the sum of
/// all elements and each gradient is 1.
fn prepare(lens: &[&str]) -> candle_core::Result<(Adam, GradStore)> {
    let mut vars = Vec::new();
    let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
    for len in lens {
        let len: usize = len.parse().map_err(|_| candle_core::Error::Msg(format!("invalid length: {len}")))?;
        let var = Var::ones(len, DType::F32, &Device::Cpu)?;
        loss = (loss + var.sum_all()?)?;
        vars.push(var);
    }
    let params = ParamsAdam { weight_decay: Some(Decay::DecoupledWeightDecay(0.01)), ..Default::default() };
    Ok((Adam::new(vars, params)?, loss.backward()?))
}

fn main() {
    let mut prepared = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &mut prepared) {
            (["tensors", lens @ ..], _) => match prepare(lens) {
                Ok(both) => {
                    prepared = Some(both);
                    println!("ready candle-optimisers 0.10.2, AdamW on the CPU");
                }
                Err(error) => println!("no: {error}"),
            },
            (["run", steps], Some((adam, grads))) => {
                let steps: usize = steps.parse().expect("a number of steps");
                let start = Instant::now();
                match (0..steps).try_for_each(|_| adam.step(grads)) {
                    Ok(()) => println!("{}", 1e3 * start.elapsed().as_secs_f64()),
                    Err(error) => println!("no: {error}"),
                }
            }
            _ => println!("no: {line}"),
        }
        std::io::stdout().flush().expect("standard output");
    }
}
