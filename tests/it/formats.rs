//! Every dtype of params, gradients and moments on the GPU and on the twin: on a CPU adapter the results are equal to
//! the last bit after 100 steps, for lengths that begin and end anywhere in a quad.

use crate::sampling::{grid, sample};
use crate::scene::precisions::{BESIDE, GRADS, STATES, align, precision, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Numbers, Scene, normal};
use half::{bf16, f16};
use wgpu::Buffer;
use wgpu_adam::precision::{Master, Rounding, StateDtype};
use wgpu_adam::state::TensorState;
use wgpu_adam::{
    Adam, Clip, Config, Decay, Dtype, Error, Group, LossScale, Options, Precision, Report, State, Tensor, View, cpu,
    preset,
};

fn buffer(gpu: &Gpu, numbers: &Numbers) -> Buffer {
    gpu.buffer(&numbers.words())
}

fn gpu_bytes(gpu: &Gpu, buffer: &Buffer) -> Vec<u8> {
    bytemuck::cast_slice(&gpu.read(buffer)).to_vec()
}

fn adamw() -> Config {
    Config { lr: 1e-2, decay: Decay::Decoupled(0.1), ..Config::default() }
}

/// Every dtype of params with every way to store params and state, and every dtype of gradients.
fn all() -> impl Iterator<Item = ((Dtype, Dtype), Precision)> {
    stored().flat_map(|(param, precision)| GRADS.map(|grad| ((param, grad), precision.clone())))
}

/// Makes `steps` steps on both sides, and compares every bit.
fn check(gpu: &Gpu, scene: &Scene, steps: usize) -> Report {
    let mut run = scene.start(gpu);
    run.steps(gpu, steps);
    if let Some(difference) = run.difference(gpu) {
        panic!("{difference}: {:?}, {:?}", scene.spots, scene.options);
    }
    run.twin.report()
}

#[test]
fn every_combination_of_dtypes_agrees_with_the_twin_at_every_length() {
    let gpu = Gpu::new();
    for (formats, precision) in sample(all()) {
        let options = Options { precision: precision.clone(), ..Options::default() };
        let lens = [1, 2, 3, 5, 255, 257, 1000, 4097];
        check(&gpu, &Scene::arena(&lens, align(&precision), &[adamw()], options).with_dtypes(formats, (0, 0)), 100);
    }
}

#[test]
fn tensors_may_share_quads_and_groups_may_alternate() {
    let gpu = Gpu::new();
    let other = Config { lr: 3e-3, maximize: true, ..Config::default() };
    // Each way of storing gets two of the four offsets.
    let skips = [[((0, 0), true), ((1, 2), false)], [((3, 0), false), ((5, 1), true)]];
    let cases = all().enumerate().flat_map(|(i, stored)| skips[i % 2].map(|skip| (i, stored.clone(), skip)));
    for (i, (formats, precision), (skip, zero_grad)) in sample(cases) {
        let options = Options {
            clip: Clip::GlobalNorm(1.0),
            skip_nonfinite: true,
            zero_grad,
            precision: precision.clone(),
            ..Options::default()
        };
        let lens = [[3, 1, 1, 4, 257], [8, 1003, 2, 5, 1]][i / 2 % 2];
        // The distance between param and grad stays the same.
        let begin = usize::next_multiple_of(skip.0, align(&precision));
        let skip = (begin, skip.1 + begin - skip.0);
        let scene =
            Scene::arena(&lens, align(&precision), &[adamw(), other.clone()], options).with_dtypes(formats, skip);
        check(&gpu, &scene, 8);
    }
}

/// Every way of storing, with the number of storage buffers that WebGPU guarantees and with more.
#[test]
fn separately_allocated_tensors_share_dispatches() {
    let gpus = [Gpu::new(), Gpu::with_storage_buffers(14)];
    // The gradients use each dtype in turn.
    let stored = stored().enumerate().map(|(i, (param, precision))| (i, (param, GRADS[i % 4]), precision));
    for (i, formats, precision) in sample(stored) {
        let (gpu, zero_grad) = (&gpus[i / 2 % 2], i % 2 == 0);
        let options = Options {
            clip: Clip::GlobalNorm(1.0),
            skip_nonfinite: true,
            zero_grad,
            precision: precision.clone(),
            ..Options::default()
        };
        // Lengths with whole quads first, then lengths with a partial last quad.
        let lens = [8, 2052, 300, 4, 1000, 64, 5, 1003, 257];
        let scene = Scene::scattered(&lens, &[adamw()], options).with_dtypes(formats, (0, 0));
        let mut run = scene.start(gpu);
        let (dispatches, beside) = (run.adam.dispatches(), run.twin.state().tensors[0].state.len());
        let separate = 2 * lens.len() + 1;
        assert!(dispatches < separate * 2 / 3, "{formats:?}, {precision:?}, {beside} state tensors: {dispatches}");
        run.steps(gpu, 6);
        run.assert_same(gpu);
        // A run that was resumed from the state must continue equally.
        let mut next = run.resumed(gpu);
        next.steps(gpu, 2);
        run.steps(gpu, 2);
        next.assert_same(gpu);
        assert_eq!(gpu.state(&next.adam), gpu.state(&run.adam));
    }
}

#[test]
fn every_rule_agrees_with_narrow_moments() {
    let gpu = Gpu::new();
    for (state, config) in grid([STATES[2], STATES[4]], variants()) {
        let options = Options { precision: precision(state, BESIDE[3]), ..Options::default() };
        let scene = Scene::arena(&[5, 300], 4, &[config], options).with_dtypes((Dtype::Bf16, Dtype::Bf16), (4, 2));
        check(&gpu, &scene, 30);
    }
}

/// The scale grows until a gradient overflows in f16, and backs off. The other dtypes do not overflow.
#[test]
fn a_loss_scale_works_with_gradients_of_every_dtype() {
    let gpu = Gpu::new();
    // A subset that contains each dtype of each view with several dtypes of the others.
    for (i, (formats, precision)) in sample(all().enumerate().step_by(7)) {
        let loss_scale = LossScale { initial: 512.0, growth_interval: 3, ..LossScale::default() };
        let clip = [Clip::None, Clip::GlobalNorm(1.0), Clip::Value(0.5)][i % 3];
        let options =
            Options { clip, precision: precision.clone(), loss_scale: Some(loss_scale), ..Options::default() };
        let configs = [adamw(), Config { maximize: true, ..Config::default() }];
        let scene = Scene::arena(&[3, 4, 257], align(&precision), &configs, options).with_dtypes(formats, (0, 0));
        let report = check(&gpu, &scene, 24);
        assert_eq!(report.skipped > 0, formats.1 == Dtype::F16, "{formats:?}: {report:?}");
    }
}

#[test]
fn unsupported_combinations_are_rejected_with_the_reason() {
    let gpu = Gpu::new();
    let [param, grad] = [0, 1].map(|_| gpu.buffer(&[0.0; 16]));
    let refused_tensor = |tensor: Tensor, options: Options| {
        let group = Group::new(Config::default(), vec![tensor]);
        Adam::new(&gpu.device, &gpu.queue, &[group], options).expect_err("an error").to_string()
    };
    let refused = |param, grad, options| refused_tensor(Tensor::new("w", param, grad), options);
    let view = |buffer, format| View::new(buffer, format);
    let plain = Options::default();
    let error = refused(view(&param, Dtype::I32), view(&grad, Dtype::F32), plain.clone());
    assert_eq!(error, "tensor `w`: param must be F32, F16 or Bf16");
    let error = refused(view(&param, Dtype::F32), view(&grad, Dtype::U8).slice(..16), plain.clone());
    assert_eq!(error, "tensor `w`: grad must be F32, F16, Bf16 or I32");
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let tensor = Tensor::new("w", view(&param, Dtype::F32), view(&grad, Dtype::I32)).with_grad_scale(scale);
        let error = refused_tensor(tensor, plain.clone());
        assert_eq!(error, "tensor `w`: grad_scale must be finite and above 0");
    }
    let tensor = Tensor::new("w", view(&param, Dtype::F32), view(&grad, Dtype::F32)).with_grad_scale(2.0);
    assert_eq!(refused_tensor(tensor, plain.clone()), "tensor `w`: grad_scale must be 1 unless grad is I32");
    let master = |master| Precision { master, ..Precision::default() };
    let remainder = Options { precision: master(Master::Remainder), ..plain.clone() };
    let error = refused(view(&param, Dtype::F16), view(&grad, Dtype::F16), remainder);
    assert!(error.starts_with("tensor `w`: Master::Remainder needs bf16"), "{error}");
    let twice = Precision { param_rounding: Rounding::Stochastic, ..master(Master::F32) };
    let error =
        refused(view(&param, Dtype::F16), view(&grad, Dtype::F16), Options { precision: twice, ..plain.clone() });
    assert!(error.starts_with("option precision: param_rounding must be Nearest"), "{error}");
    let zero = Options { zero_grad: true, ..plain.clone() };
    let shifted = view(&grad, Dtype::F16).slice(1..17);
    let error = refused(view(&param, Dtype::F16).slice(..16), shifted, zero);
    assert!(error.starts_with("tensor `w`: with zero_grad and 16-bit gradients"), "{error}");
    let mut unaligned = view(&param, Dtype::F16).slice(..4);
    unaligned.offset = 1;
    let error = refused(unaligned, view(&grad, Dtype::F16).slice(..4), plain.clone());
    assert!(error.contains("must begin at a multiple of 2"), "{error}");

    let mut twin =
        cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 2)])], plain).unwrap();
    let (mut w, mut g) = ([0.0; 2], [f16::ONE; 2]);
    let error = twin.step(&mut [cpu::TensorMut::new(&mut w, &mut g)]).unwrap_err();
    assert!(matches!(error, Error::TensorDtype { .. }), "{error}");
}

/// A 16-bit parameter needs one of these to learn at a small rate: rounding to nearest loses each step.
#[test]
fn plain_bf16_stalls_where_the_alternatives_move() {
    let gpu = Gpu::new();
    let run = |precision: Precision| {
        let mut values = [bf16::ONE; 4096];
        let param = buffer(&gpu, &Numbers::Bf16(values.to_vec()));
        let grad = gpu.buffer(&[1.0; 4096]);
        let tensor = Tensor::new("w", View::new(&param, Dtype::Bf16), View::f32(&grad));
        let group = Group::new(Config { lr: 1e-4, ..preset::pytorch::adam() }, vec![tensor]);
        let adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options { precision, ..Options::default() }).unwrap();
        gpu.steps(&adam, 1000);
        values.copy_from_slice(bytemuck::cast_slice(&gpu_bytes(&gpu, &param)));
        values.iter().map(|x| f64::from(x.to_f32())).sum::<f64>() / 4096.0
    };
    // A thousand steps of 1e-4 lead from 1 to 0.9. The unit in the last place there is 2^-8 = 0.004.
    assert_eq!(run(Precision::default()), 1.0, "rounding to nearest must stall");
    let stochastic = run(Precision { param_rounding: Rounding::Stochastic, ..Precision::default() });
    assert!((stochastic - 0.9).abs() < 2e-3, "stochastic: {stochastic}");
    for master in [Master::F32, Master::Remainder] {
        let exact = run(Precision { master, ..Precision::default() });
        assert!((exact - 0.9).abs() < 2e-3, "{master:?}: {exact}");
    }
}

#[test]
fn a_master_follows_a_param_that_the_caller_writes() {
    let gpu = Gpu::new();
    let precision = Precision { master: Master::F32, ..Precision::default() };
    let param = buffer(&gpu, &Numbers::Bf16(vec![bf16::ONE; 8]));
    let grad = gpu.buffer(&[1.0; 8]);
    let tensor = Tensor::new("w", View::new(&param, Dtype::Bf16), View::f32(&grad));
    let group = Group::new(Config { lr: 0.25, ..Config::default() }, vec![tensor]);
    let adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options { precision, ..Options::default() }).unwrap();
    gpu.step(&adam);
    gpu.queue.write_buffer(&param, 0, bytemuck::cast_slice(&[bf16::from_f32(8.0); 4]));
    gpu.step(&adam);
    let values: Vec<bf16> = bytemuck::cast_slice(&gpu_bytes(&gpu, &param)).to_vec();
    let want = [7.75, 7.75, 7.75, 7.75, 0.5, 0.5, 0.5, 0.5];
    assert!(values.iter().zip(want).all(|(x, want)| (x.to_f32() - want).abs() < 1e-2), "{values:?}");
}

/// The state of a tensor with an odd length, while tensors before it are added and removed.
#[test]
fn state_is_carried_over_exactly_in_every_dtype() {
    let gpu = Gpu::new();
    let values: Vec<f32> = (0..1200).map(|i| normal(1, 0, i)).collect();
    for (format, precision) in sample(stored()) {
        let options = Options { precision: Precision { state_min_len: 4, ..precision }, ..Options::default() };
        let end = |changed: bool| {
            let [param, grad] = [0; 2].map(|_| buffer(&gpu, &Numbers::new(format, 1.0, &values)));
            let view = |buffer, at, len| View::new(buffer, format).slice(at..at + len);
            let tensor = |name: &str, at, len| Tensor::new(name, view(&param, at, len), view(&grad, at, len));
            let tensors = vec![tensor("a", 4, 5), tensor("b", 12, 259), tensor("c", 272, 403)];
            let mut adam =
                Adam::new(&gpu.device, &gpu.queue, &[Group::new(adamw(), tensors)], options.clone()).unwrap();
            gpu.steps(&adam, 5);
            if changed {
                adam.remove(&["a"]).unwrap();
                gpu.steps(&adam, 5);
                adam.add(0, [tensor("d", 800, 301)]).unwrap();
                adam.reset(&["b"]).unwrap();
            } else {
                gpu.steps(&adam, 5);
            }
            gpu.steps(&adam, 5);
            let state = gpu.state(&adam);
            let c = state.tensors.into_iter().find(|tensor| tensor.name == "c").unwrap();
            (c.state, Numbers::of(&gpu.read(&param), format, 1.0, 272, 403).values())
        };
        assert_eq!(end(true), end(false), "{format:?}, {precision:?}");
    }
}

/// The noise of an element depends on its tensor's name and its number in the tensor: not on the layout, the order or
/// the neighbours. So a resumed run may place its tensors differently.
#[test]
fn stochastic_rounding_does_not_depend_on_layout_order_or_neighbours() {
    let gpu = Gpu::new();
    let lens = [5, 259, 1003];
    let names = ["a", "b", "c"];
    // Each tensor's place in a buffer of params and of grads: scattered, in an arena, in another order with another
    // tensor between and gradients elsewhere, and unaligned, with params that begin at any element.
    type Places = [(usize, u64, u64); 3];
    let layouts: [(Places, &[usize]); 4] = [
        ([(0, 0, 0), (1, 0, 0), (2, 0, 0)], &[0, 1, 2]),
        ([(0, 0, 0), (0, 8, 8), (0, 268, 268)], &[0, 1, 2]),
        ([(0, 1504, 1004), (0, 1512, 1012), (0, 4, 0)], &[2, 0, 1]),
        ([(0, 4, 1), (0, 12, 9), (0, 272, 269)], &[1, 2, 0]),
    ];
    let stochastic = |p: &Precision| [p.state_rounding, p.param_rounding].contains(&Rounding::Stochastic);
    for (format, precision) in sample(stored().filter(|(_, precision)| stochastic(precision))) {
        let options = Options { precision: Precision { state_min_len: 4, ..precision.clone() }, ..Options::default() };
        let values = |i: usize| -> Vec<f32> { (0..lens[i]).map(|e| normal(3, i as u64, e)).collect() };
        let mut ends = layouts.iter().map(|(places, order)| {
            let mut images = [[const { Vec::new() }; 3], [const { Vec::new() }; 3]];
            images.as_flattened_mut().iter_mut().for_each(|image| image.resize(2048, 0.0));
            for (i, &(buffer, param, grad)) in places.iter().enumerate() {
                let numbers = Numbers::new(format, 1.0, &values(i));
                numbers.put(&mut images[0][buffer], param as usize);
                numbers.put(&mut images[1][buffer], grad as usize);
            }
            let [params, grads] = images.map(|images| images.map(|image| gpu.buffer(&image)));
            let tensor = |i: usize| {
                let (buffer, param, grad) = places[i];
                let view = |buffer, at| View::new(buffer, format).slice(at..at + lens[i]);
                Tensor::new(names[i], view(&params[buffer], param), view(&grads[buffer], grad))
            };
            let group = Group::new(adamw(), order.iter().map(|i| tensor(*i)).collect());
            let adam = Adam::new(&gpu.device, &gpu.queue, &[group], options.clone()).unwrap();
            gpu.steps(&adam, 5);
            let mut state = gpu.state(&adam).tensors;
            state.sort_by(|a, b| a.name.cmp(&b.name));
            let params = (0..3).map(|i| {
                let (buffer, param, _) = places[i];
                Numbers::of(&gpu.read(&params[buffer]), format, 1.0, param as usize, lens[i] as usize).values()
            });
            (state, params.collect::<Vec<_>>())
        });
        let want = ends.next().unwrap();
        for (layout, end) in ends.enumerate() {
            assert_eq!(end, want, "layout {}, {format:?}, {precision:?}", layout + 1);
        }
    }
}

/// Three groups in one arena: f32 as the options say, 8 bits with a seed, and bf16 with another seed.
fn mixed<T>(mut tensor: impl FnMut(usize) -> T) -> [Group<T>; 3] {
    let group = |numbers: [usize; 2], tensor: &mut dyn FnMut(usize) -> T| {
        Group::new(adamw(), numbers.into_iter().map(tensor).collect::<Vec<T>>())
    };
    let narrow = |state, seed| Precision { seed, ..precision((state, Rounding::Stochastic), BESIDE[1]) };
    [
        group([0, 3], &mut tensor),
        group([1, 4], &mut tensor).with_precision(narrow(StateDtype::Block8, 5)),
        group([2, 5], &mut tensor).with_precision(narrow(StateDtype::Bf16, 6)),
    ]
}

#[test]
fn groups_have_formats_of_their_own_that_every_change_keeps() {
    const LEN: usize = 700;
    let gpu = Gpu::new();
    let values: Vec<bf16> = (0..8 * LEN as u64).map(|i| bf16::from_f32(normal(1, 0, i))).collect();
    let [param, grad] = [0; 2].map(|_| buffer(&gpu, &Numbers::Bf16(values.clone())));
    let tensor = |i: usize| {
        let view = |buffer| View::bf16(buffer).slice((i * LEN) as u64..((i + 1) * LEN) as u64);
        Tensor::new(format!("t{i}"), view(&param), view(&grad))
    };
    let made = || Adam::new(&gpu.device, &gpu.queue, &mixed(tensor), Options::default()).unwrap();
    let (mut adam, mut params) = (made(), values.clone());
    let mut twin = adam.to_cpu();
    let steps = |adam: &Adam, twin: &mut cpu::Adam, params: &mut [bf16]| {
        let mut grads = values.clone();
        for _ in 0..8 {
            gpu.step(adam);
            let names: Vec<usize> = twin.tensor_names().map(|name| name[1..].parse().unwrap()).collect();
            let mut slots: Vec<_> = params.chunks_mut(LEN).zip(grads.chunks_mut(LEN)).map(Some).collect();
            let mut slots: Vec<_> = names.iter().filter_map(|&i| slots[i].take()).collect();
            let mut slots: Vec<_> = slots.iter_mut().map(|(p, g)| cpu::TensorMut::new(&mut **p, &mut **g)).collect();
            twin.step(&mut slots).unwrap();
        }
        let state = gpu.state(adam);
        if gpu.software {
            assert!(gpu_bytes(&gpu, &param) == bytemuck::cast_slice::<bf16, u8>(params), "the parameters differ");
            assert!(state == twin.state(), "the states differ");
        }
        let dtypes = |tensor: &TensorState| tensor.state.iter().map(|state| state.dtype).collect::<Vec<_>>();
        for tensor in &state.tensors {
            let want = [
                vec![Dtype::F32, Dtype::F32],
                vec![Dtype::U8, Dtype::F32, Dtype::U8, Dtype::F32],
                vec![Dtype::Bf16, Dtype::Bf16],
            ];
            assert_eq!(dtypes(tensor), want[state.clocks[tensor.clock].group % 3], "{}", tensor.name);
        }
        state
    };
    let state = steps(&adam, &mut twin, &mut params);
    let precisions = |state: &State| state.groups.iter().map(|group| group.precision.clone()).collect::<Vec<_>>();
    assert_eq!(precisions(&state), mixed(tensor).map(|group| group.precision));

    // Another optimizer takes over the state from a file.
    let saved = State::from_bytes(&state.to_bytes().unwrap()).unwrap();
    assert!(saved == state);
    let mut resumed = made();
    let mut resumed_twin = resumed.to_cpu();
    pollster::block_on(resumed.load_state(&saved)).unwrap();
    resumed_twin.load_state(&saved).unwrap();
    steps(&resumed, &mut resumed_twin, &mut params);
    pollster::block_on(adam.load_state(&gpu.state(&resumed))).unwrap();

    // Tensors that are added later get the formats of their group. `to_cpu` and a state give an equal twin.
    adam.remove(&["t4"]).unwrap();
    adam.add(1, [tensor(6)]).unwrap();
    adam.reset(&["t5"]).unwrap();
    adam.add_group(Group { tensors: vec![tensor(7)], ..mixed(tensor)[0].clone() }).unwrap();
    let mut twin = adam.to_cpu();
    twin.load_state(&gpu.state(&adam)).unwrap();
    assert_eq!(precisions(&steps(&adam, &mut twin, &mut params))[1..3], precisions(&state)[1..3]);
}

#[test]
fn a_precision_of_a_group_is_checked_as_the_options_are() {
    let twice = Precision { param_rounding: Rounding::Stochastic, master: Master::F32, ..Precision::default() };
    let group =
        |precision| cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]).with_precision(precision);
    let plain = Group { tensors: vec![cpu::Tensor::new("x", 1)], precision: None, ..group(twice.clone()) };
    let error = cpu::Adam::new(&[plain, group(twice)], Options::default()).unwrap_err().to_string();
    assert!(error.starts_with("group 1: precision: param_rounding must be Nearest"), "{error}");
}
