//! Each mistake of a caller gives an error whose message names the tensor, the value and the requirement.

use crate::scene::Gpu;
use std::ops::Bound;
use wgpu::{BufferDescriptor, BufferUsages};
use wgpu_adam::preset::{burn, optax, pytorch};
use wgpu_adam::{Adam, Clip, Config, Decay, Group, Options, Tensor, Variant, View, cpu};

fn message(gpu: &Gpu, groups: &[Group], options: Options) -> String {
    Adam::new(&gpu.device, &gpu.queue, groups, options).err().map_or("no error".to_owned(), |error| error.to_string())
}

fn group(config: Config, tensors: Vec<Tensor>) -> Vec<Group> {
    vec![Group::new(config, tensors)]
}

#[test]
fn invalid_configurations_are_named() {
    let gpu = Gpu::new();
    let (param, grad) = (gpu.buffer(&[0.0; 8]), gpu.buffer(&[0.0; 8]));
    let good = Config::default();
    let tensor = || Tensor::f32("w", &param, &grad);
    for (config, want) in [
        (Config { beta1: 1.0, ..good }, "group 0: beta1 is 1, but must be in [0, 1)"),
        (Config { beta1: -0.1, ..good }, "group 0: beta1 is -0.1, but must be in [0, 1)"),
        (Config { beta2: f64::NAN, ..good }, "group 0: beta2 is NaN, but must be in [0, 1)"),
        (Config { lr: -1.0, ..good }, "group 0: lr is -1, but must be finite and not negative"),
        (Config { lr: f64::INFINITY, ..good }, "group 0: lr is inf, but must be finite and not negative"),
        (Config { eps: -1e-8, ..good }, "group 0: eps is -0.00000001, but must be finite and not negative"),
        (Config { eps: f64::NAN, ..good }, "group 0: eps is NaN, but must be finite and not negative"),
        (
            Config { decay: Decay::L2(-0.5), ..good },
            "group 0: weight_decay is -0.5, but must be finite and not negative",
        ),
        (
            Config { decay: Decay::Decoupled(f64::NAN), ..good },
            "group 0: weight_decay is NaN, but must be finite and not negative",
        ),
        (Config { beta2: 0.5, ..pytorch::radam() }, "group 0: beta2 is 0.5, but must be above 2/3 for RAdam"),
        (
            Config { beta2: 0.5, eps_root: 1e36, ..optax::adabelief() },
            "group 0: eps_root is 1000000000000000000000000000000000000, but must be at most 1e36*(1 - beta2) for AdaBelief",
        ),
        (
            Config { variant: Variant::Sgd { momentum: 0.9, dampening: 0.1, nesterov: true }, ..pytorch::sgd() },
            "group 0: dampening is 0.1, but must be 0 with nesterov",
        ),
        (
            Config { variant: Variant::Sgd { momentum: 0.0, dampening: 0.1, nesterov: false }, ..pytorch::sgd() },
            "group 0: momentum is 0, but must be above 0 with dampening",
        ),
        (
            Config { variant: Variant::Sgd { momentum: 0.0, dampening: 0.0, nesterov: true }, ..pytorch::sgd() },
            "group 0: momentum is 0, but must be above 0 with nesterov",
        ),
        (
            Config { eps: 1e-6, ..optax::lion() },
            "group 0: eps is 1e-6, but Lion does not use it: it must be 1e-8, the default",
        ),
        (
            Config { eps_root: 1e-6, ..pytorch::adamax() },
            "group 0: eps_root is 1e-6, but AdaMax does not use it: it must be 0.0, the default",
        ),
        (
            Config { beta1: 0.0, ..pytorch::rmsprop() },
            "group 0: beta1 is 0.0, but RMSProp does not use it: it must be 0.9, the default",
        ),
        (
            Config { beta2: 0.99, ..optax::adagrad() },
            "group 0: beta2 is 0.99, but AdaGrad does not use it: it must be 0.999, the default",
        ),
        (
            Config { bias_correction: false, ..pytorch::sgd() },
            "group 0: bias_correction is false, but SGD does not use it: it must be true, the default",
        ),
    ] {
        assert_eq!(message(&gpu, &group(config.clone(), vec![tensor()]), Options::default()), want);
        let twin = cpu::Group::new(config, vec![cpu::Tensor::new("w", 8)]);
        assert_eq!(cpu::Adam::new(&[twin], Options::default()).unwrap_err().to_string(), want);
    }
    for (clip, want) in [
        (Clip::GlobalNorm(0.0), "option clip (global norm) is 0, but must be finite and above 0"),
        (Clip::GlobalNorm(f64::NAN), "option clip (global norm) is NaN, but must be finite and above 0"),
        (Clip::Value(-1.0), "option clip (value) is -1, but must be finite and above 0"),
    ] {
        let options = Options { clip, ..Options::default() };
        assert_eq!(message(&gpu, &group(good.clone(), vec![tensor()]), options), want);
    }
    let options = Options { max_skipped_in_a_row: Some(3), ..Options::default() };
    let want =
        "option max_skipped_in_a_row is 3, but must be none unless skip_nonfinite is set and there is no loss scale";
    assert_eq!(message(&gpu, &group(good.clone(), vec![tensor()]), options), want);
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &group(good, vec![tensor()]), Options::default()).unwrap();
    let error = adam.set_lr(1, 0.1).unwrap_err();
    assert_eq!(error.to_string(), "group 1 does not exist: the optimizer has 1, counted from 0");
    let error = adam.set_lr(0, f64::NAN).unwrap_err();
    assert_eq!(error.to_string(), "group 0: lr is NaN, but must be finite and not negative");
    gpu.step(&adam);
    assert_eq!(gpu.report(&adam).groups[0].lr, 1e-3, "a rejected value must change nothing");
}

#[test]
fn every_preset_is_accepted() {
    let pytorch = [
        pytorch::adam(),
        pytorch::adamw(),
        pytorch::amsgrad(),
        pytorch::adamw_amsgrad(),
        pytorch::adamax(),
        pytorch::nadam(),
        pytorch::nadamw(0.01),
        pytorch::radam(),
        pytorch::radamw(0.01),
        pytorch::rmsprop(),
        pytorch::rmsprop_centered(),
        pytorch::adagrad(),
        pytorch::sgd(),
    ];
    let optax = [
        optax::adam(),
        optax::adamw(),
        optax::amsgrad(),
        optax::adamax(),
        optax::adamaxw(),
        optax::nadam(),
        optax::nadamw(),
        optax::radam(),
        optax::adabelief(),
        optax::lion(),
        optax::signum(),
        optax::rmsprop(),
        optax::rmsprop_centered(),
        optax::adagrad(),
        optax::sgd(),
    ];
    for config in pytorch.into_iter().chain(optax).chain([burn::adam(), burn::adamw()]) {
        let group = cpu::Group::new(config.clone(), vec![cpu::Tensor::new("w", 1)]);
        let made = cpu::Adam::new(&[group], Options::default());
        assert!(made.is_ok(), "{config:?}: {:?}", made.err());
    }
}

#[test]
fn invalid_views_are_named() {
    let gpu = Gpu::new();
    let (param, grad) = (gpu.buffer(&[0.0; 100]), gpu.buffer(&[0.0; 100]));
    let size = 400;
    let other = gpu.device.create_buffer(&BufferDescriptor {
        label: None,
        size,
        usage: BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let six = gpu.device.create_buffer(&BufferDescriptor {
        label: None,
        size: 6,
        usage: BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let (p, g) = (|| View::f32(&param), || View::f32(&grad));
    let (mut unaligned, mut long) = (p().slice(..10), g());
    (unaligned.offset, long.len) = (2, 101);
    for (tensors, want) in [
        (vec![], "no tensors were given: at least one group must have at least one tensor"),
        (
            vec![Tensor::new("w", p().slice(..0), g())],
            "tensor `w`: its param view has length 0, but must have at least one element",
        ),
        (
            vec![Tensor::new("w", p(), g().slice(..99))],
            "tensor `w`: param has 100 elements and grad has 99, but they must have the same number",
        ),
        (
            vec![Tensor::new("w", p(), g().slice(1..101))],
            "tensor `w`: its grad view is sliced with 1..101, but the sliced view has only 100 elements",
        ),
        (
            vec![Tensor::new("w", p().slice(10..20).slice(5..11).slice(..2), g())],
            "tensor `w`: its param view is sliced with 5..11, but the sliced view has only 10 elements",
        ),
        (
            vec![Tensor::new("w", p().slice(..=u64::MAX), g())],
            "tensor `w`: its param view is sliced with 0..18446744073709551615, but the sliced view has only 100 elements",
        ),
        (
            vec![Tensor::new("w", p(), g().slice((Bound::Excluded(10), Bound::Excluded(5))))],
            "tensor `w`: its grad view is sliced with 11..5, which ends before it begins",
        ),
        (
            vec![Tensor::new("w", p(), long)],
            "tensor `w`: its grad view needs bytes 0..404, but its buffer has 400 bytes",
        ),
        (
            vec![Tensor::new("w", unaligned, g().slice(..10))],
            "tensor `w`: its param view begins at byte 2, but must begin at a multiple of 4",
        ),
        (
            vec![Tensor::new("w", p(), View::f32(&other))],
            "tensor `w`: the buffer of its grad view was made with BufferUsages(COPY_DST), but needs \
             BufferUsages(STORAGE) as well",
        ),
        (
            vec![Tensor::new("w", View::bf16(&six), View::bf16(&param).slice(..3))],
            "tensor `w`: the buffer of its param view has 6 bytes, but must have 8, a multiple of 4",
        ),
        (
            vec![Tensor::new("w", View::bf16(&param).slice(..3), View::bf16(&six))],
            "tensor `w`: the buffer of its grad view has 6 bytes, but must have 8, a multiple of 4",
        ),
        (vec![Tensor::new("w", View::bf16(&six).slice(..2), View::bf16(&param).slice(..2))], "no error"),
        (
            vec![
                Tensor::new("a", p().slice(..10), g().slice(..10)),
                Tensor::new("a", p().slice(10..20), g().slice(10..20)),
            ],
            "tensor `a`: the name is used twice, but names must be unique over all groups",
        ),
        (
            vec![
                Tensor::new("a", p().slice(..11), g().slice(..11)),
                Tensor::new("b", p().slice(10..20), g().slice(20..30)),
            ],
            "tensor `b`: its param view shares bytes with the param view of tensor `a`",
        ),
        (
            vec![
                Tensor::new("a", p().slice(..10), g().slice(..10)),
                Tensor::new("b", p().slice(10..20), g().slice(5..15)),
            ],
            "tensor `b`: its grad view shares bytes with the grad view of tensor `a`",
        ),
        (
            vec![Tensor::new("w", p().slice(..50), p().slice(49..99))],
            "tensor `w`: its grad view shares bytes with the param view of tensor `w`",
        ),
        (
            vec![Tensor::new("w", p().slice(..50), p().slice(50..100))],
            "tensor `w`: its param and grad are in one buffer and must not share a block of 256 bytes, but param needs the \
             blocks at bytes 0..200 and grad those at 0..400",
        ),
    ] {
        assert_eq!(message(&gpu, &group(Config::default(), tensors), Options::default()), want);
    }
    // A name must be unique over all groups, not only in its own.
    let a = |at| Group::new(Config::default(), vec![Tensor::new("a", p().slice(at..at + 5), g().slice(at..at + 5))]);
    assert!(message(&gpu, &[a(0), a(5)], Options::default()).contains("used twice"));
}

#[test]
fn invalid_slots_of_the_twin_are_named() {
    let tensors = vec![cpu::Tensor::new("a", 2), cpu::Tensor::new("b", 3)];
    let mut adam = cpu::Adam::new(&[cpu::Group::new(Config::default(), tensors)], Options::default()).unwrap();
    let (mut a, mut b) = ([1.0f32; 2], [1.0f32; 3]);
    let (mut grad_a, mut grad_b) = ([1.0f32; 2], [1.0f32; 2]);
    let error = adam.step(&mut [cpu::TensorMut::new(&mut a, &mut grad_a)]).unwrap_err();
    assert_eq!(error.to_string(), "the step was given 1 tensors, but the optimizer has 2");
    let error = adam
        .step(&mut [cpu::TensorMut::new(&mut a, &mut grad_a), cpu::TensorMut::new(&mut b, &mut grad_b)])
        .unwrap_err();
    assert_eq!(error.to_string(), "tensor `b`: grad has 2 elements, but the tensor has 3");
    assert_eq!((a, adam.report().t), ([1.0; 2], 0), "an error must change nothing");
    // A tensor that is added to the first group moves those of later groups.
    let group = |name| cpu::Group::new(Config::default(), vec![cpu::Tensor::new(name, 2)]);
    let mut adam = cpu::Adam::new(&[group("a"), group("c")], Options::default()).unwrap();
    adam.add(0, [cpu::Tensor::new("b", 2)]).unwrap();
    let mut step = |names: [Option<&str>; 3]| {
        let (mut params, mut grads) = ([[1.0f32; 2]; 3], [[1.0f32; 2]; 3]);
        let slots = params.iter_mut().zip(&mut grads).zip(names);
        let slots = slots.map(|((param, grad), name)| cpu::TensorMut { name, ..cpu::TensorMut::new(param, grad) });
        adam.step(&mut slots.collect::<Vec<_>>()).map(|report| report.t).map_err(|error| error.to_string())
    };
    assert_eq!(
        step([Some("a"), Some("c"), Some("b")]).unwrap_err(),
        "the step was given tensor `c` in place 1, counted from 0, but the optimizer has `b` there"
    );
    assert_eq!(step([Some("a"), None, Some("c")]), Ok(1), "the error changed nothing, and names may be left out");
    let duplicate = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("a", 1), cpu::Tensor::new("a", 1)]);
    assert!(cpu::Adam::new(&[duplicate], Options::default()).unwrap_err().to_string().contains("used twice"));
    let empty = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("a", 0)]);
    assert!(cpu::Adam::new(&[empty], Options::default()).unwrap_err().to_string().contains("length 0"));
    assert!(cpu::Adam::new(&[], Options::default()).unwrap_err().to_string().contains("no tensors"));
}
