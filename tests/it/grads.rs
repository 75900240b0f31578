//! Gradients that are in another place at each step.

use crate::sampling::{grid, sample};
use crate::scene::precisions::{BESIDE, GRADS, STATES, precision};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Run, Scene, Spot, normals};
use wgpu::{Buffer, BufferUsages, CommandEncoder};
use wgpu_adam::precision::StateDtype;
use wgpu_adam::rows::{RowSteps, Rows, SecondMoment};
use wgpu_adam::{
    Adam, Clip, Config, Dtype, Error, Grads, GradsSet, Group, GroupClip, Options, Precision, Probe, Tensor, Variant,
    View, cpu,
};

fn clipped() -> Options {
    Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() }
}

fn config() -> Config {
    Config { lr: 0.01, ..Config::default() }
}

/// Makes steps with gradients in new buffers.
fn moved_steps(run: &mut Run, gpu: &Gpu, steps: usize) {
    for _ in 0..steps {
        run.fresh_grads();
        run.move_grads(gpu);
        gpu.step(&run.adam);
        run.twin_step();
    }
}

/// An optimizer of one tensor in a buffer of whole quads, whose gradients are given to each step.
fn alone(gpu: &Gpu, len: usize) -> (Adam, Buffer) {
    let param = gpu.buffer(&normals(1, 1, len.next_multiple_of(4)));
    let group = Group::new(config(), vec![Tensor::each_step("w", View::f32(&param).slice(..len as u64))]);
    (Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap(), param)
}

fn encoder(gpu: &Gpu) -> CommandEncoder {
    gpu.device.create_command_encoder(&Default::default())
}

/// Makes a step with these gradients of the only tensor.
fn step(gpu: &Gpu, adam: &mut Adam, grad: View) -> Result<GradsSet, Error> {
    let mut encoder = encoder(gpu);
    let set = adam.set_grads(&mut encoder, &[Some(grad)])?;
    adam.step(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    Ok(set)
}

#[test]
fn each_format_and_each_rule_steps_as_with_fixed_gradients() {
    let gpu = Gpu::new();
    let lens = [300, 17, 1001, 4, 20_003, 90];
    for config in sample(variants()) {
        let mut run = Scene::scattered(&lens, &[config], clipped()).try_start_moving(&gpu).unwrap();
        moved_steps(&mut run, &gpu, 3);
        run.assert_same(&gpu);
    }
    for (state, grad) in grid(STATES, GRADS) {
        let options = Options { precision: precision(state, BESIDE[0]), ..clipped() };
        let scene = Scene::scattered(&lens, &[config()], options).with_dtypes((Dtype::F32, grad), (0, 0));
        let mut run = scene.try_start_moving(&gpu).unwrap();
        moved_steps(&mut run, &gpu, 3);
        run.assert_same(&gpu);
        // A saved state goes on in an optimizer that has not been given gradients yet.
        let state = gpu.state(&run.adam);
        let mut next = run.scene.try_start_moving(&gpu).unwrap();
        pollster::block_on(next.adam.load_state(&state)).unwrap();
        assert_eq!(gpu.state(&next.adam), state);
    }
}

#[test]
fn every_way_to_decide_a_step_reads_the_given_gradients() {
    let gpu = Gpu::new();
    let lens = [300, 17, 5000];
    let lamb = Config { variant: Variant::Lamb, ..config() };
    let scenes = [
        Scene::scattered(&lens, &[config()], clipped()).clipped([Some(GroupClip::Group(0.5))]),
        Scene::scattered(&lens, &[config()], clipped()).clipped([Some(GroupClip::Tensor(0.5))]),
        Scene::scattered(&lens, &[lamb, config()], clipped()),
        Scene::arena(&lens, 64, &[config()], clipped()),
    ];
    for scene in scenes {
        let mut run = scene.try_start_moving(&gpu).unwrap();
        moved_steps(&mut run, &gpu, 2);
        run.fresh_grads();
        run.move_grads(&gpu);
        let probe = Probe::new(&run.adam).unwrap();
        let (got, want) = run.measured_step(&gpu, &probe);
        if gpu.software && !gpu.flushes {
            assert_eq!(got, want);
        }
        run.assert_same(&gpu);
    }
}

#[test]
fn rows_step_with_given_gradients() {
    let gpu = Gpu::new();
    let rows = Rows { second_moment: SecondMoment::RowMean, steps: RowSteps::PerRow, ..Rows::new(10) };
    let (mut param, len) = (normals(1, 1, 500), 500);
    let buffer = gpu.buffer(&param);
    let tensor = Tensor::each_step("splats", View::f32(&buffer)).with_rows(rows.clone());
    let group = Group::new(config(), vec![tensor]);
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap();
    let mut twin = adam.to_cpu();
    for t in 0..4 {
        let mut grad = normals(2, t, len);
        step(&gpu, &mut adam, View::f32(&gpu.buffer(&grad))).unwrap();
        twin.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
    }
    if gpu.software {
        assert_eq!(gpu.read(&buffer), param);
    }
}

#[test]
fn bind_groups_of_the_last_16_places_are_kept() {
    let gpu = Gpu::new();
    let (mut adam, _param) = alone(&gpu, 100);
    let grads: Vec<Buffer> = (0..17).map(|i| gpu.buffer(&normals(2, i, 100))).collect();
    let mut made = |range: std::ops::Range<usize>| {
        let set = |i| step(&gpu, &mut adam, View::f32(&grads[i])).unwrap().bind_groups;
        range.map(set).sum::<usize>()
    };
    assert_eq!(made(0..16), 16);
    assert_eq!(made(0..16), 0);
    // One more takes the place of the first, and each of the next that of its successor.
    assert_eq!(made(16..17), 1);
    assert_eq!(made(0..16), 16);
}

/// Makes three steps of a tensor with params and gradients at these bytes of one buffer, and returns how many gradients were
/// copied.
fn in_one_buffer(gpu: &Gpu, len: usize, param_at: u64, grad_at: u64) -> usize {
    let (param, grad) = (param_at as usize / 4, grad_at as usize / 4);
    let mut image = normals(1, 1, param.max(grad) + len + 8);
    let buffer = gpu.buffer(&image);
    let view = |first: usize| View::f32(&buffer).slice(first as u64..(first + len) as u64);
    let group = Group::new(config(), vec![Tensor::each_step("w", view(param))]);
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], clipped()).unwrap();
    let mut twin = adam.to_cpu();
    let mut copied = 0;
    for t in 0..3 {
        let mut grads = normals(2, t, len);
        gpu.queue.write_buffer(&buffer, grad_at, bytemuck::cast_slice(&grads));
        image[grad..][..len].copy_from_slice(&grads);
        copied += step(gpu, &mut adam, view(grad)).unwrap().copied;
        twin.step(&mut [cpu::TensorMut::new(&mut image[param..][..len], &mut grads)]).unwrap();
    }
    if gpu.software {
        assert_eq!(gpu.read(&buffer), image);
    }
    copied
}

#[test]
fn gradients_may_be_in_the_buffer_of_the_parameters() {
    for gpu in [Gpu::new(), Gpu::with_smallest_alignment()] {
        let align = u64::from(gpu.device.limits().min_storage_buffer_offset_alignment).max(16);
        println!("alignment {align}");
        let len = align as usize / 4;
        for (param, grad) in [(0, align), (align, 0), (2 * align, 3 * align), (align + 4, 4 * align)] {
            assert_eq!(in_one_buffer(&gpu, len, param, grad), 0, "{param} {grad}");
        }
        // Not at a multiple of the alignment.
        assert_eq!(in_one_buffer(&gpu, len, 0, align + 4), 3);
        // The parameters begin within a unit of alignment, and are bound from its begin on, where the gradients are.
        assert_eq!(in_one_buffer(&gpu, 1, align + 4, align), 3);
    }
}

#[test]
fn gradients_may_be_in_the_buffers_of_the_parameters_of_other_tensors() {
    let gpu = Gpu::new();
    // Three small tensors share a dispatch.
    let lens = [64, 20, 64];
    let mut images: Vec<Vec<f32>> = (0..3).map(|i| normals(1, i, 256)).collect();
    let buffers: Vec<Buffer> = images.iter().map(|image| gpu.buffer(image)).collect();
    let tensors = lens.iter().zip(&buffers).enumerate();
    let tensors = tensors
        .map(|(i, (len, buffer))| Tensor::each_step(format!("tensor{i}"), View::f32(buffer).slice(..*len as u64)));
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[Group::new(config(), tensors.collect())], clipped()).unwrap();
    assert_eq!(adam.dispatches(), 3);
    let mut twin = adam.to_cpu();
    for t in 0..4 {
        let grads: Vec<Vec<f32>> = lens.iter().zip(0..).map(|(len, i)| normals(2 + t, i, *len)).collect();
        // The gradients of a tensor are in the buffer of the next one's params, and once in its own.
        let views: Vec<Option<View>> = (0..3)
            .map(|i| {
                let buffer = (i + usize::from(t != 2)) % 3;
                images[buffer][64 * (1 + i % 2)..][..lens[i]].copy_from_slice(&grads[i]);
                let at = 64 * (1 + i as u64 % 2);
                gpu.queue.write_buffer(&buffers[buffer], 4 * at, bytemuck::cast_slice(&grads[i]));
                Some(View::f32(&buffers[buffer]).slice(at..at + lens[i] as u64))
            })
            .collect();
        let mut encoder = encoder(&gpu);
        let set = adam.set_grads(&mut encoder, &views).unwrap();
        assert_eq!(set.copied, 0);
        adam.step(&mut encoder);
        gpu.queue.submit([encoder.finish()]);
        let mut grads = grads;
        let slots = images.iter_mut().zip(&mut grads).zip(lens);
        let mut slots: Vec<_> =
            slots.map(|((param, grad), len)| cpu::TensorMut::new(&mut param[..len], &mut grad[..])).collect();
        twin.step(&mut slots).unwrap();
    }
    if gpu.software {
        assert_eq!(buffers.iter().map(|buffer| gpu.read(buffer)).collect::<Vec<_>>(), images);
    }
}

#[test]
fn two_tensors_may_have_the_same_gradients() {
    let gpu = Gpu::new();
    let params = [gpu.buffer(&normals(1, 1, 100)), gpu.buffer(&normals(1, 1, 100))];
    let tensors = ["a", "b"].into_iter().zip(&params).map(|(name, param)| Tensor::each_step(name, View::f32(param)));
    let group = Group::new(config(), tensors.collect());
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap();
    let grad = View::f32(&gpu.buffer(&normals(2, 1, 100)));
    let mut encoder = encoder(&gpu);
    let set = adam.set_grads(&mut encoder, &[Some(grad.clone()), Some(grad)]).unwrap();
    assert_eq!(set.copied, 0);
    adam.step(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    assert_eq!(gpu.read(&params[0]), gpu.read(&params[1]));
    assert_ne!(gpu.read(&params[0]), normals(1, 1, 100));
}

#[test]
fn gradients_that_cannot_be_bound_are_copied() {
    let gpu = Gpu::new();
    // The buffer ends within the last quad.
    let (mut adam, param) = alone(&gpu, 5);
    let small = adam.memory_use();
    assert_eq!(small.grads, 0);
    let exact = gpu.buffer(&normals(2, 1, 5));
    assert_eq!(step(&gpu, &mut adam, View::f32(&exact)).unwrap().copied, 1);
    let roomy = gpu.buffer(&normals(2, 1, 8));
    assert_eq!(step(&gpu, &mut adam, View::f32(&roomy).slice(..5)).unwrap().copied, 0);
    assert_eq!(step(&gpu, &mut adam, View::f32(&roomy).slice(1..6)).unwrap().copied, 1);
    // The copy is made once, and kept.
    assert_eq!(adam.memory_use().grads, 32);
    assert_eq!(adam.memory_use().total(), small.total() + 32);
    let mut twin = adam.to_cpu();
    let mut want = normals(1, 1, 8);
    for skip in [0, 0, 1] {
        let mut grad = normals(2, 1, 8)[skip..skip + 5].to_vec();
        if skip == 0 {
            grad = normals(2, 1, 5);
        }
        twin.step(&mut [cpu::TensorMut::new(&mut want[..5], &mut grad)]).unwrap();
    }
    if gpu.software {
        assert_eq!(gpu.read(&param), want);
    }
}

#[test]
fn a_step_without_gradients_is_not_recorded() {
    let gpu = Gpu::new();
    let (mut adam, param) = alone(&gpu, 100);
    gpu.step(&adam);
    assert_eq!((gpu.read(&param), gpu.report(&adam).t), (normals(1, 1, 100), 0));
    let probe = Probe::new(&adam).unwrap();
    assert!(matches!(probe.step(&adam, &mut encoder(&gpu)), Err(Error::NoGrads { tensor, .. }) if tensor == "w"));
    let grad = View::f32(&gpu.buffer(&normals(2, 1, 100)));
    step(&gpu, &mut adam, grad.clone()).unwrap();
    assert_eq!(gpu.report(&adam).t, 1);
    // A change of the tensors replaces the dispatches.
    adam.reset(&["w"]).unwrap();
    let before = gpu.read(&param);
    gpu.step(&adam);
    assert_eq!(gpu.read(&param), before);
    step(&gpu, &mut adam, grad).unwrap();
    assert_ne!(gpu.read(&param), before);
}

#[test]
fn an_inactive_tensor_needs_no_gradients() {
    let gpu = Gpu::new();
    let mut run = Scene::scattered(&[300, 17, 20_003], &[config()], clipped()).try_start_moving(&gpu).unwrap();
    moved_steps(&mut run, &gpu, 2);
    for missing in [&["tensor0"][..], &["tensor1", "tensor2"], &[]] {
        let is_missing = |i: usize| missing.contains(&format!("tensor{i}").as_str());
        for i in 0..3 {
            let name = format!("tensor{i}");
            run.adam.set_active(&[&name], !is_missing(i)).unwrap();
            run.twin.set_active(&[&name], !is_missing(i)).unwrap();
        }
        for _ in 0..2 {
            run.fresh_grads();
            run.grad_buffers = run.grads.iter().map(|grads| gpu.buffer(grads)).collect();
            let spots = run.scene.order().into_iter().enumerate();
            let views: Vec<Option<View>> =
                spots.map(|(i, spot)| (!is_missing(i)).then(|| spot.grad_view(&run.grad_buffers))).collect();
            let mut encoder = encoder(&gpu);
            run.adam.set_grads(&mut encoder, &views).unwrap();
            run.adam.step(&mut encoder);
            gpu.queue.submit([encoder.finish()]);
            run.twin_step();
        }
    }
    run.assert_same(&gpu);
    // A tensor without gradients takes a few bytes, whatever its size, and no step until it has some again.
    run.adam.set_active(&["tensor2"], false).unwrap();
    run.grad_buffers = run.grads.iter().map(|grads| gpu.buffer(grads)).collect();
    let views: Vec<Option<View>> =
        run.scene.order().iter().map(|spot| Some(spot.grad_view(&run.grad_buffers))).collect();
    run.adam.set_grads(&mut encoder(&gpu), &[views[0].clone(), views[1].clone(), None]).unwrap();
    assert_eq!(run.adam.memory_use().grads, 256);
    run.adam.set_active(&["tensor2"], true).unwrap();
    let t = gpu.report(&run.adam).t;
    gpu.step(&run.adam);
    assert_eq!(gpu.report(&run.adam).t, t);
    let error = run.adam.set_grads(&mut encoder(&gpu), &[None, None, None]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `tensor0`: no gradients were given: Adam::set_grads needs a view for each active tensor"
    );
}

#[test]
fn wrong_gradients_are_errors() {
    let gpu = Gpu::new();
    let (mut adam, param) = alone(&gpu, 100);
    let grad = gpu.buffer(&normals(2, 1, 300));
    let message =
        |adam: &mut Adam, views: &[Option<View>]| adam.set_grads(&mut encoder(&gpu), views).unwrap_err().to_string();
    let view = || View::f32(&grad);
    assert_eq!(message(&mut adam, &[]), "the step was given 0 tensors, but the optimizer has 1");
    assert_eq!(
        message(&mut adam, &[Some(view().slice(..99))]),
        "tensor `w`: grad has 99 elements, but the tensor has 100"
    );
    assert_eq!(
        message(&mut adam, &[Some(View::bf16(&grad).slice(..100))]),
        "tensor `w`: grad has dtype Bf16, but the tensor has F32"
    );
    assert_eq!(
        message(&mut adam, &[Some(View::f32(&param))]),
        "tensor `w`: its grad view shares bytes with the param view of tensor `w`"
    );
    let mut beyond = view().slice(..100);
    beyond.offset = 4 * 201;
    assert!(message(&mut adam, &[Some(beyond)]).contains("needs bytes 804..1204, but its buffer has 1200 bytes"));
    let made = |usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size: 1200, usage, mapped_at_creation: false };
        gpu.device.create_buffer(&descriptor)
    };
    let unbound = made(BufferUsages::COPY_SRC);
    assert!(
        message(&mut adam, &[Some(View::f32(&unbound).slice(..100))])
            .contains("but needs BufferUsages(STORAGE) as well")
    );
    // Only a gradient that must be copied needs COPY_SRC.
    let uncopied = made(BufferUsages::STORAGE);
    let aligned = View::f32(&uncopied).slice(..100);
    assert_eq!(step(&gpu, &mut adam, aligned).unwrap().copied, 0);
    assert!(
        message(&mut adam, &[Some(View::f32(&uncopied).slice(1..101))])
            .contains("but needs BufferUsages(COPY_SRC) as well")
    );
    let destroyed = made(BufferUsages::STORAGE);
    destroyed.destroy();
    let error = message(&mut adam, &[Some(View::f32(&destroyed).slice(..100))]);
    assert!(error.starts_with("tensor `w`: the device cannot bind the buffer of its grad view"), "{error}");
    // After an error of the device, the gradients must be set again.
    let t = gpu.report(&adam).t;
    gpu.step(&adam);
    assert_eq!(gpu.report(&adam).t, t);
    step(&gpu, &mut adam, view().slice(..100)).unwrap();
    assert_eq!(gpu.report(&adam).t, t + 1);
}

#[test]
fn gradients_are_fixed_or_given() {
    let gpu = Gpu::new();
    let [param, other, grad] = [1, 2, 3].map(|i| gpu.buffer(&normals(i, 1, 64)));
    let tensors = vec![Tensor::f32("fixed", &param, &grad), Tensor::each_step("given", View::f32(&other))];
    let groups = [Group::new(config(), tensors)];
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap();
    let given = View::f32(&gpu.buffer(&normals(4, 1, 64)));
    let mut encoder = encoder(&gpu);
    let error = adam.set_grads(&mut encoder, &[Some(given.clone()), Some(given.clone())]).unwrap_err();
    assert!(matches!(error, Error::FixedGrads { tensor, .. } if tensor == "fixed"));
    adam.set_grads(&mut encoder, &[None, Some(given)]).unwrap();
    adam.step(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    assert_ne!(gpu.read(&param), normals(1, 1, 64));
    assert_ne!(gpu.read(&other), normals(2, 1, 64));
    let zeroed = Options { zero_grad: true, ..Options::default() };
    let error = Adam::new(&gpu.device, &gpu.queue, &groups, zeroed).unwrap_err().to_string();
    assert!(error.starts_with("tensor `given`: with zero_grad, its gradients must be in a fixed place"), "{error}");
    // The number of gradients is checked when the optimizer is made.
    let param = View::f32(&other);
    let short = Tensor::new("short", param, Grads::EachStep { len: 63, dtype: Dtype::F32 });
    let error = Adam::new(&gpu.device, &gpu.queue, &[Group::new(config(), vec![short])], Options::default());
    assert!(matches!(error, Err(Error::LengthsDiffer { param: 64, grad: 63, .. })));
}

#[test]
fn gradients_of_two_bytes_are_copied_by_words() {
    let gpu = Gpu::new();
    let options = Options { precision: Precision { state: StateDtype::Bf16, ..Precision::default() }, ..clipped() };
    let at = |grad| Scene {
        spots: vec![Spot { formats: (Dtype::Bf16, Dtype::Bf16), ..Spot::f32(0, (0, 0), 0, grad, 21) }],
        ..Scene::offset(30, (0, 0), (0, 0), config(), options.clone())
    };
    let mut run = at(2).try_start_moving(&gpu).unwrap();
    run.fresh_grads();
    assert_eq!(run.move_grads(&gpu).copied, 1);
    gpu.step(&run.adam);
    run.twin_step();
    run.assert_same(&gpu);
    let mut run = at(1).try_start_moving(&gpu).unwrap();
    assert!(matches!(run.set_grads(&gpu), Err(Error::Unaligned { offset: 2, need: 4, .. })));
}
