//! Runs a golden case on the twin and on the GPU.

use std::collections::BTreeMap;
use std::ops::Range;

use wgpu_adam::state::TensorState;
use wgpu_adam::{Adam, Config, Group, Options, State, Tensor, View, cpu};

use super::files::Case;
use super::problem::{ELEMENTS, LR_CHANGES_AFTER, STEPS};
use crate::scene::Gpu;

/// p and the states after the last step, under their names in the files.
pub type End = BTreeMap<&'static str, Vec<f32>>;

fn end(case: &Case, p: Vec<f32>, state: &State) -> End {
    let joined = |f: fn(&TensorState) -> Vec<f32>| state.tensors.iter().flat_map(f).collect();
    let mut m: Vec<f32> = joined(TensorState::m);
    if case.optimizer == "optax.rmsprop" {
        // optax adds its momentum to p, so the sign is opposite.
        m.iter_mut().for_each(|m| *m = -*m);
    }
    let [v, v_max, grad_avg] = [TensorState::v, TensorState::v_max, TensorState::grad_avg].map(joined);
    BTreeMap::from([("p", p), ("m", m), ("v", v), ("v_max", v_max), ("grad_avg", grad_avg)])
}

/// Each group has an equal share of the elements.
pub fn on_twin(case: &Case, configs: &[Config], options: Options, p0: &[f32], grads: &[Vec<f32>]) -> End {
    let each = ELEMENTS / configs.len();
    let group = |(i, config): (usize, &Config)| {
        let tensors = vec![cpu::Tensor::new(format!("w{i}"), each)];
        cpu::Group::new(config.clone(), tensors)
    };
    let groups: Vec<_> = configs.iter().enumerate().map(group).collect();
    let mut adam = cpu::Adam::new(&groups, options).unwrap();
    let mut p = p0.to_vec();
    for (t, grads) in grads.iter().enumerate() {
        if t == LR_CHANGES_AFTER {
            for (group, &lr) in case.lr_then.iter().flatten().enumerate() {
                adam.set_lr(group, lr).unwrap();
            }
        }
        let mut grads = grads.clone();
        let parts = p.chunks_mut(each).zip(grads.chunks_mut(each));
        let mut slots: Vec<_> = parts.map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        adam.step(&mut slots).unwrap();
    }
    end(case, p, &adam.state())
}

/// All gradients are on the device from the start. A run makes two submissions, before and after the learning rate
/// changes.
pub fn on_gpu(
    gpu: &Gpu,
    case: &Case,
    configs: &[Config],
    options: Options,
    p0: &[f32],
    all_grads: &wgpu::Buffer,
) -> End {
    let each = ELEMENTS / configs.len();
    let (param, grad) = (gpu.buffer(p0), gpu.buffer(&[0.0; ELEMENTS]));
    let group = |(i, config): (usize, &Config)| {
        let view = |buffer| View::f32(buffer).slice((i * each) as u64..((i + 1) * each) as u64);
        Group::new(config.clone(), vec![Tensor::new(format!("w{i}"), view(&param), view(&grad))])
    };
    let groups: Vec<_> = configs.iter().enumerate().map(group).collect();
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &groups, options).unwrap();
    let run = |adam: &Adam, steps: Range<usize>| {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for t in steps {
            encoder.copy_buffer_to_buffer(all_grads, t as u64 * grad.size(), &grad, 0, grad.size());
            adam.step(&mut encoder);
        }
        gpu.queue.submit([encoder.finish()]);
    };
    run(&adam, 0..LR_CHANGES_AFTER);
    for (group, &lr) in case.lr_then.iter().flatten().enumerate() {
        adam.set_lr(group, lr).unwrap();
    }
    run(&adam, LR_CHANGES_AFTER..STEPS);
    end(case, gpu.read(&param), &gpu.state(&adam))
}
