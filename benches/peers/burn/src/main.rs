//! A peer that runs burn's AdamW on wgpu with fusion. `benches/README.md` describes the protocol.

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::optim::{AdamWConfig, AdamWState, Optimizer};
use burn::tensor::{Device, DeviceKind, Tensor};

/// Returns the first tensor whose first or last element a step did not move. (If the device refuses a dispatch, burn
/// continues without an error.)
fn unmoved(slots: &[Option<Slot>]) -> Option<usize> {
    slots.iter().flatten().position(|slot| {
        let len = slot.param.dims()[0];
        let moved =
            |at: usize| slot.param.clone().slice([at..at + 1]).try_into_scalar::<f32>().is_ok_and(|x| x != BEGIN);
        !moved(0) || !moved(len - 1)
    })
}

/// The initial value of parameters and gradients.
const BEGIN: f32 = 0.75;

struct Slot {
    param: Tensor<1>,
    grad: Tensor<1>,
    state: Option<AdamWState<1>>,
}

fn main() {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let adamw = AdamWConfig::new().with_weight_decay(0.01).with_epsilon(1e-8).build();
    let mut slots: Vec<Option<Slot>> = Vec::new();
    let step = |slots: &mut Vec<Option<Slot>>| {
        for place in slots {
            let Some(Slot { param, grad, state }) = place.take() else { continue };
            let (param, state) = adamw.step(1e-3, param, grad.clone(), state);
            *place = Some(Slot { param, grad, state });
        }
        // Without this, fusion would merge several steps into one kernel, because they share one gradient here. In
        // training each step has its own.
        device.sync().expect("the device");
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["tensors", lens @ ..] => {
                slots.clear();
                let tensor = |len: &&str| {
                    let len: usize = len.parse().expect("a length");
                    Tensor::<1>::full([len], BEGIN, &device)
                };
                slots.extend(lens.iter().map(|len| Some(Slot { param: tensor(len), grad: tensor(len), state: None })));
                step(&mut slots);
                match unmoved(&slots) {
                    None => println!(
                        "ready burn 0.22.1, wgpu with fusion, AdamW::step on each tensor, a sync after each step"
                    ),
                    Some(i) => println!("no: a step did not move tensor {i}, of {} elements", lens[i]),
                }
            }
            ["run", steps] => {
                let steps: usize = steps.parse().expect("a number of steps");
                let start = Instant::now();
                for _ in 0..steps {
                    step(&mut slots);
                }
                println!("{}", 1e3 * start.elapsed().as_secs_f64());
            }
            _ => println!("no: {line}"),
        }
        std::io::stdout().flush().expect("standard output");
    }
}
