//! Clipping by the norm of a group or of a tensor, beside clipping by the norm of all gradients.

use std::slice::from_ref;

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::{Gpu, Numbers, Run, Scene, normals};
use wgpu_adam::{
    Adam, Clip, Config, Dtype, Group, GroupClip, LossScale, Options, Report, Schedule, State, Tensor, View, cpu,
};

const CLIPS: [Option<GroupClip>; 3] = [Some(GroupClip::Tensor(0.3)), None, Some(GroupClip::Group(0.5))];

fn configs() -> [Config; 3] {
    [
        Config::default(),
        Config { lr: 0.01, maximize: true, ..Config::default() },
        Config { lr: 0.02, ..Config::default() },
    ]
}

fn same(run: &Run, gpu: &Gpu) -> State {
    run.assert_same(gpu);
    let state = gpu.state(&run.adam);
    if gpu.software && !gpu.flushes {
        assert_eq!(state, run.twin.state());
    }
    state
}

#[test]
fn gpu_and_twin_agree_in_every_layout() {
    let gpu = Gpu::new();
    let lens = [300, 17, 1001, 4, 20_000, 90, 40_000, 33, 5];
    for (i, clip) in [Clip::None, Clip::GlobalNorm(0.4), Clip::Value(0.01)].into_iter().enumerate() {
        for (skip_nonfinite, scale) in [(false, None), (true, None), (true, Some(LossScale::default()))] {
            let options = Options { clip, skip_nonfinite, loss_scale: scale, zero_grad: i == 1, ..Options::default() };
            for scene in sample([
                Scene::arena(&lens, 1, &configs(), options.clone()).clipped(CLIPS),
                Scene::scattered(&lens, &configs(), options.clone()).clipped(CLIPS),
                Scene::arena(&lens, 64, &configs()[..1], options.clone()).clipped(&CLIPS[2..]),
            ]) {
                let mut run = scene.start(&gpu);
                run.steps(&gpu, 3);
                if skip_nonfinite {
                    run.fresh_grads();
                    run.grads[0][3] = f32::NAN;
                    run.upload_grads(&gpu);
                    gpu.step(&run.adam);
                    run.twin_step();
                    let report = gpu.report(&run.adam);
                    assert_eq!((report.last_skipped, report.nonfinite_tensor.as_deref()), (true, Some("tensor0")));
                }
                run.steps(&gpu, 2);
                same(&run, &gpu);
            }
        }
    }
}

#[test]
fn gpu_and_twin_agree_in_every_format() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let options = Options { clip: Clip::GlobalNorm(0.4), precision: precision.clone(), ..Options::default() };
        let scene = Scene::arena(&[300, 17, 1001, 4, 600, 90], align(&precision), &configs(), options)
            .with_dtypes((param, GRADS[i % 4]), (0, 0))
            .clipped(CLIPS);
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 4);
        same(&run, &gpu);
    }
}

/// The coefficients in float64, and the gradients multiplied by them, which an optimizer without clipping gets.
#[test]
fn the_result_is_that_of_gradients_clipped_beforehand_in_float64() {
    let lens = [40, 300, 7, 90, 1000];
    let group = [0, 0, 1, 2, 2];
    // Ordinary gradients, and gradients whose squares overflow or vanish in f32.
    for (size, unclipped) in [(1.0, 0.0), (1e15, 0.0), (1e25, 0.0), (1e-3, 1.0), (1e-25, 1.0)] {
        let groups = |clips: [Option<GroupClip>; 3]| -> Vec<cpu::Group> {
            (0..3)
                .map(|g| {
                    let tensors = (0..5).filter(|i| group[*i] == g).map(|i| cpu::Tensor::new(format!("{i}"), lens[i]));
                    // SGD, since Adam's step does not depend on the size of its gradients.
                    let config = Config { lr: 1.0, ..wgpu_adam::preset::pytorch::sgd() };
                    cpu::Group { clip: clips[g], ..cpu::Group::new(config, tensors.collect()) }
                })
                .collect()
        };
        let clip = Clip::GlobalNorm(if unclipped == 0.0 { 0.6 } else { 1e3 });
        let mut ours = cpu::Adam::new(&groups(CLIPS), Options { clip, ..Options::default() }).unwrap();
        let grads: Vec<Vec<f32>> =
            (0..5).map(|i| normals(3, i as u64, lens[i]).into_iter().map(|g| size * g).collect()).collect();
        let norm = |which: &dyn Fn(usize) -> bool, grads: &[Vec<f64>]| {
            let squares = grads.iter().enumerate().filter(|(i, _)| which(*i)).flat_map(|(_, grad)| grad);
            squares.map(|g| g * g).sum::<f64>().sqrt()
        };
        let coef = |max: f64, norm: f64| (max / (norm + 1e-6)).min(1.0);
        let plain: Vec<Vec<f64>> = grads.iter().map(|grad| grad.iter().map(|g| f64::from(*g)).collect()).collect();
        let clipped: Vec<Vec<f64>> = (0..5)
            .map(|i| {
                let own = match CLIPS[group[i]] {
                    None => 1.0,
                    Some(GroupClip::Tensor(max)) => coef(max, norm(&|j| j == i, &plain)),
                    Some(GroupClip::Group(max)) => coef(max, norm(&|j| group[j] == group[i], &plain)),
                    Some(_) => unreachable!(),
                };
                plain[i].iter().map(|g| g * own).collect()
            })
            .collect();
        let Clip::GlobalNorm(max) = clip else { unreachable!() };
        let all = coef(max, norm(&|_| true, &clipped));
        let mut params: Vec<Vec<f32>> = lens.iter().map(|len| vec![0.0; *len]).collect();
        let mut given = grads.clone();
        let mut tensors: Vec<_> =
            params.iter_mut().zip(&mut given).map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        let report: Report = ours.step(&mut tensors).unwrap();
        let total = norm(&|_| true, &plain);
        assert!((f64::from(report.grad_norm.unwrap()) / total - 1.0).abs() < 1e-5, "{report:?} for {total}");
        assert!((f64::from(report.clip_coef) / all - 1.0).abs() < 1e-5, "{report:?} for {all}");
        for (param, want) in params.iter().flatten().zip(clipped.iter().flatten()) {
            let want = -want * all;
            let error = (f64::from(*param) - want).abs();
            // A product of coefficients below 2^-126 is zero.
            assert!(error <= 1e-5 * want.abs() + 1e-20, "size {size}: {param:e} for {want:e}");
        }
    }
}

/// Tensors come and go, are switched, and are resumed from states of optimizers with and without such clipping.
#[test]
fn changes_and_states_keep_the_norms_apart() {
    let gpu = Gpu::new();
    let values = normals(1, 0, 4096);
    let [param, grad] = [0; 2].map(|_| gpu.buffer(&values));
    let tensor = |i: u64| {
        let view = |buffer| View::f32(buffer).slice(200 * i..200 * i + 150);
        Tensor::new(format!("t{i}"), view(&param), view(&grad))
    };
    let groups = |clips: [Option<GroupClip>; 3]| -> Vec<Group> {
        let group = |g: usize, numbers: [u64; 2]| Group {
            clip: clips[g],
            ..Group::new(configs()[g].clone(), numbers.map(tensor).to_vec()).with_schedule(Schedule::Linear {
                from: 1.0,
                to: 0.1,
                steps: 30,
            })
        };
        vec![group(0, [0, 1]), group(1, [2, 3]), group(2, [4, 5])]
    };
    let options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
    let made = |clips| Adam::new(&gpu.device, &gpu.queue, &groups(clips), options.clone()).unwrap();
    let mut params = values.clone();
    let mut check = |adam: &Adam, twin: &mut cpu::Adam| {
        let mut grads = values.clone();
        for _ in 0..3 {
            gpu.step(adam);
            let names: Vec<usize> = twin.tensor_names().map(|name| name[1..].parse().unwrap()).collect();
            let mut slots: Vec<_> = params.chunks_mut(200).zip(grads.chunks_mut(200)).map(Some).collect();
            let mut slots: Vec<_> = names.iter().filter_map(|&i| slots[i].take()).collect();
            let slots = slots.iter_mut().map(|(p, g)| cpu::TensorMut::new(&mut p[..150], &mut g[..150]));
            twin.step(&mut slots.collect::<Vec<_>>()).unwrap();
        }
        let state = gpu.state(adam);
        if gpu.software {
            crate::scene::assert_same(&gpu.read(&param), &params, "params");
            assert_eq!(state, twin.state());
        }
        state
    };
    // A twin made anew sums in the order of the optimizer.
    let twin_of = |adam: &Adam| {
        let mut twin = adam.to_cpu();
        twin.load_state(&gpu.state(adam)).unwrap();
        twin
    };
    let adam = made(CLIPS);
    let mut twin = adam.to_cpu();
    let state = check(&adam, &mut twin);
    assert_eq!(state.clocks.len(), 4, "each tensor of the first group has a clock");
    // A state that was made without such clipping has fewer clocks. They are copied, and the next steps are the same.
    let mut plain = made([None; 3]);
    pollster::block_on(plain.load_state(&state)).unwrap();
    let mut fewer = gpu.state(&plain);
    fewer.clocks.truncate(3);
    fewer.tensors.iter_mut().take(2).for_each(|tensor| tensor.clock = 0);
    assert_eq!(fewer.clocks.len(), 3);
    let mut adam = made(CLIPS);
    pollster::block_on(adam.load_state(&fewer)).unwrap();
    assert_eq!(gpu.state(&adam).clocks.len(), 4);
    let mut twin = adam.to_cpu();
    twin.load_state(&fewer).unwrap();
    assert_eq!(twin.state(), gpu.state(&adam));
    check(&adam, &mut twin);
    adam.add(0, [tensor(6), tensor(7)]).unwrap();
    adam.remove(&["t0", "t4"]).unwrap();
    adam.reset(&["t5"]).unwrap();
    let mut twin = twin_of(&adam);
    let state = check(&adam, &mut twin);
    let mut clocks: Vec<usize> = state.tensors.iter().map(|tensor| tensor.clock).collect();
    clocks.dedup();
    assert_eq!(clocks.len(), 5, "three tensors of the first group, and the other two groups");
    adam.set_active(&["t6", "t2"], false).unwrap();
    let mut twin = twin_of(&adam);
    check(&adam, &mut twin);
    adam.set_active(&["t6"], true).unwrap();
    twin.set_active(&["t6"], true).unwrap();
    adam.set_schedule(0, Schedule::Constant(0.5)).unwrap();
    twin.set_schedule(0, Schedule::Constant(0.5)).unwrap();
    adam.set_lr(2, 0.1).unwrap();
    twin.set_lr(2, 0.1).unwrap();
    check(&adam, &mut twin);
}

#[test]
fn a_bad_limit_is_named() {
    for (clip, want) in [
        (GroupClip::Tensor(0.0), "group 0: clip is 0, but must be finite and above 0"),
        (GroupClip::Group(f64::NAN), "group 0: clip is NaN, but must be finite and above 0"),
    ] {
        let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]).with_clip(clip);
        assert_eq!(cpu::Adam::new(&[group], Options::default()).unwrap_err().to_string(), want);
    }
}

/// Gradients of 16 bits that are not a number reach every parameter of their unit, if nothing skips them, and no other.
#[test]
fn without_the_guard_a_nan_reaches_its_unit_only() {
    let gpu = Gpu::new();
    let scene = Scene::arena(&[40, 40, 40, 40], 4, &[Config::default()], Options::default())
        .with_dtypes((Dtype::F32, Dtype::F16), (0, 0))
        .clipped(&CLIPS[..1]);
    let mut run = scene.start(&gpu);
    run.fresh_grads();
    let spot = &scene.spots[2];
    Numbers::new(Dtype::F16, 1.0, &[f32::NAN]).put(&mut run.grads[0], spot.grad + 5);
    run.upload_grads(&gpu);
    gpu.step(&run.adam);
    run.twin_step();
    for params in [gpu.read(&run.param_buffers[0]), run.params[0].clone()] {
        let nans = |i: usize| scene.spots[i].param_of(from_ref(&params)).values().iter().filter(|x| x.is_nan()).count();
        assert_eq!([0, 1, 2, 3].map(nans), [0, 0, 40, 0]);
    }
}
