//! Several optimizers with one norm: they clip and skip alike, as one optimizer with all tensors.

use crate::sampling::{grid, sample};
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::{Gpu, Run, Scene, normal};
use wgpu_adam::{Adam, Clip, Config, Dtype, Error, GroupClip, LossScale, NormSums, Options, cpu};

fn configs() -> [Config; 2] {
    [Config::default(), Config { lr: 0.02, maximize: true, ..Config::default() }]
}

fn options() -> Options {
    Options { clip: Clip::GlobalNorm(0.4), skip_nonfinite: true, share_norm: true, ..Options::default() }
}

/// Makes a step of each run with the sums of all, added in their order. Both sides of each must agree.
fn step_together(gpu: &Gpu, runs: &mut [Run]) {
    let mut total: Option<NormSums> = None;
    for run in &mut *runs {
        run.upload_grads(gpu);
        let own = gpu.norm_sums(&run.adam);
        let twin = run.twin_step_by(|twin, tensors| twin.norm(tensors));
        if gpu.software {
            // As text, in which NaN is equal to NaN.
            assert_eq!(format!("{twin:?}"), format!("{own:?}"));
        }
        match &mut total {
            None => total = Some(own),
            Some(total) => total.add(&own).unwrap(),
        }
    }
    let total = NormSums::from_bytes(&total.unwrap().to_bytes()).unwrap();
    for run in runs {
        gpu.update_with(&run.adam, &total);
        run.twin_step_by(|twin, tensors| twin.update(tensors, &total));
        run.steps += 1;
        run.assert_same(gpu);
    }
}

#[test]
fn two_parts_are_a_step_bit_for_bit() {
    let gpu = Gpu::new();
    let lens = [300, 17, 20_000, 4];
    let clips = [vec![], vec![Some(GroupClip::Group(0.3)), Some(GroupClip::Tensor(0.2))]];
    let all = [Clip::None, Clip::GlobalNorm(0.4), Clip::Value(0.1)];
    for ((clip, guard), clips) in sample(grid(grid(all, [false, true]), clips)) {
        let options = Options { clip, skip_nonfinite: guard, ..options() };
        let needed = guard || matches!(clip, Clip::GlobalNorm(_)) || !clips.is_empty();
        let scene = |share_norm| {
            let options = Options { share_norm, ..options.clone() };
            Scene::arena(&lens, 4, &configs(), options).clipped(clips.clone()).start(&gpu)
        };
        let (mut shared, mut plain) = (scene(true), scene(false));
        assert_eq!((shared.adam.norm_buffer().is_some(), plain.adam.norm_buffer().is_some()), (needed, false));
        for t in 0..4 {
            shared.fresh_grads();
            plain.steps(&gpu, 1);
            shared.upload_grads(&gpu);
            if t == 3 {
                gpu.step(&shared.adam);
                shared.twin_step();
            } else {
                shared.steps -= 1;
                step_together(&gpu, std::slice::from_mut(&mut shared));
            }
            shared.assert_same(&gpu);
            assert_eq!(shared.params, plain.params);
            assert_eq!(gpu.report(&shared.adam), gpu.report(&plain.adam));
        }
    }
}

#[test]
fn gpu_and_twin_agree_in_every_format() {
    let gpu = Gpu::new();
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let options = Options { precision: precision.clone(), ..options() };
        let scene = Scene::arena(&[300, 17, 1001, 4, 600, 90], align(&precision), &configs(), options)
            .with_dtypes((param, GRADS[i % 4]), (0, 0));
        let mut runs = [scene.start(&gpu), scene.start(&gpu)];
        for t in 0..3 {
            runs.iter_mut().for_each(Run::fresh_grads);
            runs[1].grads[0][0] = if t == 1 { f32::NAN } else { 0.5 };
            runs.iter_mut().for_each(|run| run.steps -= 1);
            step_together(&gpu, &mut runs);
        }
    }
}

/// Squares of small integers add up exactly, in any order.
#[test]
fn two_optimizers_with_half_of_the_tensors_each_are_one_with_all() {
    let gpu = Gpu::new();
    let lens = [300, 17, 20_000, 4];
    let clips = [Some(GroupClip::Group(0.3)), None];
    for (clips, loss_scale) in grid([&clips[..0], &clips[..]], [None, Some(LossScale::default())]) {
        let scene = |lens: &[usize]| {
            let options = Options { loss_scale: loss_scale.clone(), ..options() };
            Scene::scattered(lens, &configs(), options).clipped(clips).start(&gpu)
        };
        let mut halves = [scene(&lens[..2]), scene(&lens[2..])];
        let mut all = scene(&lens);
        // Both begin with the params of all.
        for (run, first) in halves.iter_mut().zip([0, 2]) {
            for i in 0..2 {
                run.params[i].copy_from_slice(&all.params[first + i]);
                gpu.write(&run.param_buffers[i], &run.params[i]);
            }
        }
        for t in 0..8 {
            for (i, grads) in all.grads.iter_mut().enumerate() {
                for (e, g) in grads.iter_mut().enumerate() {
                    *g = ((e * 7 + i + t) % 31) as f32 - 15.0;
                }
            }
            match t {
                2 => all.grads[0][5] = f32::NAN,
                5 => all.grads[3][3] = f32::INFINITY,
                _ => {}
            }
            for (run, first) in halves.iter_mut().zip([0, 2]) {
                run.grads.clone_from_slice(&all.grads[first..first + 2]);
            }
            step_together(&gpu, &mut halves);
            step_together(&gpu, std::slice::from_mut(&mut all));
            assert_eq!([halves[0].params.clone(), halves[1].params.clone()].concat(), all.params);
            let [first, second] = [0, 1].map(|i| gpu.report(&halves[i].adam));
            let one = gpu.report(&all.adam);
            for report in [&first, &second] {
                assert_eq!((report.t, report.skipped, report.last_skipped), (one.t, one.skipped, one.last_skipped));
                // As text, in which NaN is equal to NaN.
                let norms = [report, &one].map(|report| format!("{:?} {:?}", report.grad_norm, report.clip_coef));
                assert_eq!(norms[0], norms[1]);
                assert_eq!(report.loss_scale, one.loss_scale);
            }
            if report_skipped(t) {
                // Only the optimizer that has the tensor names it.
                let names = [first, second].map(|report| report.nonfinite_tensor);
                assert_eq!(names.map(|name| name.is_some()), [t == 2, t == 5]);
            }
        }
    }
}

fn report_skipped(t: usize) -> bool {
    t == 2 || t == 5
}

#[test]
fn sums_of_other_units_are_refused() {
    let adam = |clip, share_norm| {
        let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 1)]).with_clip(clip);
        cpu::Adam::new(&[group], Options { share_norm, ..options() }).unwrap()
    };
    let (mut p, mut g) = ([1.0], [0.5]);
    let mut sums = |adam: &cpu::Adam| adam.norm(&mut [cpu::TensorMut::new(&mut p, &mut g)]).unwrap();
    let (mut one, two) = (adam(GroupClip::Group(1.0), true), adam(GroupClip::Group(2.0), true));
    let (mut own, other) = (sums(&one), sums(&two));
    let want = "the sums of the norm: the records have the limits [inf, 2.0, inf], but must have [inf, 1.0, inf]";
    let error = own.add(&other).unwrap_err();
    assert_eq!(error.to_string(), want);
    assert_eq!(one.update(&mut [cpu::TensorMut::new(&mut p, &mut g)], &other), Err(error));
    assert_eq!((p, one.t()), ([1.0], 0));
    let mut unshared = adam(GroupClip::Group(1.0), false);
    assert_eq!(unshared.norm(&mut [cpu::TensorMut::new(&mut p, &mut g)]).unwrap(), NormSums::default());
    let error = unshared.update(&mut [cpu::TensorMut::new(&mut p, &mut g)], &other).unwrap_err();
    assert!(matches!(error, Error::NormSums { .. }), "{error}");
    let error = NormSums::from_bytes(&[0; 21]).unwrap_err();
    assert_eq!(error.to_string(), "the sums of the norm: there are 21 bytes, but records have 20 each");
}

#[test]
fn parts_of_a_tensor_are_rounded_as_the_whole_tensor() {
    use wgpu_adam::Precision;
    use wgpu_adam::precision::{Rounding, StateDtype};
    let precision = Precision {
        state: StateDtype::Block8,
        state_min_len: 1,
        param_rounding: Rounding::Stochastic,
        ..Precision::default()
    };
    let options = Options { precision, ..Options::default() };
    let adam = |len, first| {
        let tensor = cpu::Tensor::new("w", len).with_dtypes(Dtype::Bf16, Dtype::F32).with_first(first);
        cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![tensor])], options.clone())
    };
    let grads: Vec<f32> = (0..700).map(|e| normal(5, 0, e)).collect();
    let step = |adam: &mut cpu::Adam, range: std::ops::Range<usize>| {
        let mut param = vec![half::bf16::from_f32(0.7); range.len()];
        let mut grad = grads[range].to_vec();
        for _ in 0..3 {
            adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)]).unwrap();
        }
        param
    };
    let whole = step(&mut adam(700, 0).unwrap(), 0..700);
    let parts = [step(&mut adam(512, 0).unwrap(), 0..512), step(&mut adam(188, 512).unwrap(), 512..700)];
    assert_eq!(whole, parts.concat());
    assert_ne!(step(&mut adam(188, 0).unwrap(), 512..700), whole[512..]);
    let error = adam(8, 6).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `w`: the number of its first element must be a multiple of 4, since noise belongs to quads"
    );
}

/// The noise of the GPU is that of the twin, in every layout.
#[test]
fn parts_of_tensors_are_rounded_alike_on_gpu_and_twin() {
    use wgpu_adam::precision::{Rounding, StateDtype};
    let gpu = Gpu::new();
    let precision = wgpu_adam::Precision {
        state: StateDtype::Bf16,
        state_min_len: 1,
        param_rounding: Rounding::Stochastic,
        ..Default::default()
    };
    for scene in [
        Scene::arena(&[300, 600, 1000], 4, &configs()[..1], Options { precision: precision.clone(), ..options() }),
        Scene::scattered(&[300, 40], &configs(), Options { precision, ..options() }),
    ] {
        let scene = scene.with_dtypes((Dtype::Bf16, Dtype::F32), (0, 0));
        let mut placed = scene.place(&gpu);
        for (i, tensor) in placed.groups.iter_mut().flat_map(|group| &mut group.tensors).enumerate() {
            tensor.first = 256 * i as u64;
        }
        let adam = Adam::new(&gpu.device, &gpu.queue, &placed.groups, scene.options.clone()).unwrap();
        let mut run = scene.run(placed, adam);
        run.steps(&gpu, 3);
        run.assert_same(&gpu);
    }
}
