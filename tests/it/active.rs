//! Tensors that take no part in some steps: "no gradient" is not "a gradient of zero".

use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Numbers, Run, Scene, normals};
use wgpu_adam::{Adam, Clip, Config, Group, Options, Schedule, State, Tensor, cpu};

fn clipped() -> Options {
    Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() }
}

fn set(run: &mut Run, names: &[&str], active: bool) {
    run.adam.set_active(names, active).unwrap();
    run.twin.set_active(names, active).unwrap();
}

/// Makes steps in which these tensors have only NaNs for gradients.
fn steps_without(run: &mut Run, gpu: &Gpu, tensors: &[usize], steps: usize) {
    for _ in 0..steps {
        run.fresh_grads();
        for &i in tensors {
            let spot = run.scene.spots[i].clone();
            Numbers::new(spot.formats.1, spot.grad_scale, &vec![f32::NAN; spot.len])
                .put(&mut run.grads[spot.buffers.1], spot.grad);
        }
        run.upload_grads(gpu);
        gpu.step(&run.adam);
        run.twin_step();
    }
}

fn same(run: &Run, gpu: &Gpu) -> State {
    run.assert_same(gpu);
    let state = gpu.state(&run.adam);
    if gpu.software && !gpu.flushes {
        assert_eq!(state, run.twin.state());
    }
    state
}

fn t(state: &State, tensor: usize) -> (u32, u32) {
    let name = format!("tensor{tensor}");
    let tensor = state.tensors.iter().find(|tensor| tensor.name == name).unwrap();
    let clock = &state.clocks[tensor.clock];
    (clock.t, clock.position)
}

#[test]
fn an_inactive_tensor_stays_as_it_is_and_its_gradients_are_not_read() {
    let gpu = Gpu::new();
    let configs = [Config { lr: 0.01, ..Config::default() }, Config { lr: 0.1, maximize: true, ..Config::default() }];
    let lens = [300, 17, 1001, 4, 20_000, 90];
    let scenes = [
        Scene::arena(&lens, 1, &configs, clipped()),
        Scene::arena(&lens, 64, &configs[..1], clipped()),
        Scene::scattered(&lens, &configs, clipped()),
        Scene::scattered(&lens, &configs[..1], Options { zero_grad: true, ..clipped() }),
    ];
    for scene in scenes {
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 2);
        set(&mut run, &["tensor2", "tensor4"], false);
        let (before, params) = (gpu.state(&run.adam), run.params.clone());
        steps_without(&mut run, &gpu, &[2, 4], 3);
        let state = same(&run, &gpu);
        let report = gpu.report(&run.adam);
        assert_eq!((report.t, report.skipped), (5, 0), "a NaN of an inactive tensor skips nothing");
        assert!(report.grad_norm.unwrap().is_finite());
        for (before, now) in before.tensors.iter().zip(&state.tensors) {
            let inactive = ["tensor2", "tensor4"].contains(&now.name.as_str());
            assert_eq!(before.state == now.state, inactive, "{}", now.name);
        }
        assert_eq!([0, 2, 4, 5].map(|i| t(&state, i)), [(5, 5), (2, 5), (2, 5), (5, 5)]);
        for i in [2, 4] {
            let spot = &scene.spots[i];
            assert_eq!(spot.param_of(&run.params).values(), spot.param_of(&params).values());
        }
        // From now on only words are written, also for one of the two, and in both directions.
        let dispatches = run.adam.dispatches();
        set(&mut run, &["tensor2", "tensor4"], true);
        run.steps(&gpu, 2);
        set(&mut run, &["tensor4"], false);
        set(&mut run, &["tensor2"], false);
        steps_without(&mut run, &gpu, &[2, 4], 1);
        set(&mut run, &["tensor2"], true);
        steps_without(&mut run, &gpu, &[4], 1);
        assert!(run.adam.dispatches() <= dispatches + 1);
        let state = same(&run, &gpu);
        assert_eq!([0, 2, 4].map(|i| t(&state, i)), [(9, 9), (5, 9), (4, 9)]);
        // A NaN of an active tensor still skips the step.
        steps_without(&mut run, &gpu, &[2], 1);
        let report = gpu.report(&run.adam);
        assert_eq!((report.t, report.skipped, report.nonfinite_tensor.as_deref()), (9, 1, Some("tensor2")));
        same(&run, &gpu);
    }
}

/// The other tensors step as if the inactive one did not exist. When it returns, it has the group's learning rate and the
/// bias correction of its own first step.
#[test]
fn the_others_step_as_without_it() {
    for config in sample(variants()) {
        let schedule = Schedule::Linear { from: 1.0, to: 0.1, steps: 6 };
        let optimizer = |names: &[&str], schedule: Schedule| {
            let tensors = names.iter().map(|name| cpu::Tensor::new(*name, 40)).collect();
            cpu::Adam::new(&[cpu::Group::new(config.clone(), tensors).with_schedule(schedule)], clipped()).unwrap()
        };
        let mut with = optimizer(&["a", "b"], schedule.clone());
        let mut without = optimizer(&["a"], schedule);
        with.set_active(&["b"], false).unwrap();
        let (mut a, mut b) = (normals(1, 0, 40), normals(2, 0, 40));
        let mut alone = a.clone();
        for t in 0..8 {
            let (mut grad, mut same, mut nan) = (normals(4, t, 40), normals(4, t, 40), vec![f32::NAN; 40]);
            with.step(&mut [cpu::TensorMut::new(&mut a, &mut grad), cpu::TensorMut::new(&mut b, &mut nan)]).unwrap();
            without.step(&mut [cpu::TensorMut::new(&mut alone, &mut same)]).unwrap();
        }
        assert_eq!((&a, &b), (&alone, &normals(2, 0, 40)), "{config:?}");
        with.set_active(&["b"], true).unwrap();
        let mut fresh = optimizer(&["b"], Schedule::Constant(0.1));
        let (mut zero, mut grad, mut same, mut want) = ([0.0; 40], normals(7, 0, 40), normals(7, 0, 40), b.clone());
        with.step(&mut [cpu::TensorMut::new(&mut a, &mut zero), cpu::TensorMut::new(&mut b, &mut grad)]).unwrap();
        fresh.step(&mut [cpu::TensorMut::new(&mut want, &mut same)]).unwrap();
        for (b, want) in b.iter().zip(&want) {
            assert!((b - want).abs() <= 1e-6 * want.abs().max(1e-3), "{config:?}: {b} for {want}");
        }
    }
}

/// The values apply to steps that are submitted after the call, even if they were recorded before.
#[test]
fn a_recorded_step_follows_the_switch() {
    let gpu = Gpu::new();
    let mut run = Scene::arena(&[100, 50], 4, &[Config::default()], clipped()).start(&gpu);
    set(&mut run, &["tensor1"], true);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    run.adam.step(&mut encoder);
    run.adam.set_active(&["tensor1"], false).unwrap();
    gpu.queue.submit([encoder.finish()]);
    let state = gpu.state(&run.adam);
    assert_eq!([0, 1].map(|i| t(&state, i)), [(1, 1), (0, 1)]);
    assert!(state.tensors[1].m().iter().all(|m| *m == 0.0));
}

#[test]
fn a_group_is_switched_as_a_whole_and_names_are_checked() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 0.1, ..Config::default() }];
    let mut run = Scene::arena(&[10, 20, 30, 40], 4, &configs, clipped()).start(&gpu);
    run.adam.set_group_active(1, false).unwrap();
    run.twin.set_group_active(1, false).unwrap();
    steps_without(&mut run, &gpu, &[1, 3], 2);
    let state = same(&run, &gpu);
    assert_eq!([0, 1, 2, 3].map(|i| t(&state, i)), [(2, 2), (0, 2), (2, 2), (0, 2)]);
    let error = run.adam.set_active(&["tensor0", "tensor9"], false).unwrap_err().to_string();
    assert_eq!(error, run.twin.set_active(&["tensor9"], false).unwrap_err().to_string());
    assert_eq!(error, "tensor `tensor9` does not exist");
    let error = run.adam.set_group_active(2, false).unwrap_err().to_string();
    assert_eq!(error, "group 2 does not exist: the optimizer has 2, counted from 0");
    assert_eq!(gpu.state(&run.adam), state);
}

/// In every way to store numbers: the state moves to clocks of its own and back into a file without loss, and a resumed
/// run goes on to the last bit, with the same tensors inactive.
#[test]
fn switched_tensors_are_saved_and_resumed_exactly() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 0.1, ..Config::default() }];
    for (i, (param, precision)) in sample(stored().enumerate()) {
        let options = Options { precision: precision.clone(), ..clipped() };
        let grad = GRADS[i % 3];
        let scene =
            Scene::arena(&[300, 17, 1001, 4], align(&precision), &configs, options).with_dtypes((param, grad), (0, 0));
        let mut run = scene.start(&gpu);
        run.steps(&gpu, 2);
        set(&mut run, &["tensor2"], false);
        set(&mut run, &["tensor1"], true);
        steps_without(&mut run, &gpu, &[2], 2);
        same(&run, &gpu);
        let mut next = run.resumed(&gpu);
        for run in [&mut run, &mut next] {
            steps_without(run, &gpu, &[2], 2);
            set(run, &["tensor2"], true);
            run.steps(&gpu, 1);
            same(run, &gpu);
        }
        assert_eq!(gpu.state(&next.adam), gpu.state(&run.adam));
        assert_eq!(next.params, run.params);
    }
}

/// An optimizer in which nothing has been switched is planned as ever.
#[test]
fn nothing_costs_anything_until_a_tensor_is_switched() {
    let gpu = Gpu::new();
    let [param, grad] = [0; 2].map(|_| gpu.buffer(&[0.0; 64]));
    let view = |buffer: &wgpu::Buffer, at: u64| wgpu_adam::View::f32(buffer).slice(at..at + 8);
    let tensors = (0..8).map(|i| Tensor::new(format!("{i}"), view(&param, 8 * i), view(&grad, 8 * i)));
    let group = Group::new(Config::default(), tensors.collect());
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], clipped()).unwrap();
    assert_eq!((adam.dispatches(), gpu.state(&adam).clocks.len()), (3, 1));
    adam.set_active(&["3"], false).unwrap();
    // One dispatch of each kind still covers all tensors.
    assert_eq!((adam.dispatches(), gpu.state(&adam).clocks.len()), (3, 2));
}

/// The order in which norms are summed does not depend on the clocks. So an optimizer whose tensors got other clocks on
/// the way resumes to the last bit in a new one.
#[test]
fn a_run_with_other_clocks_resumes_in_a_new_optimizer() {
    for seed in 0..20 {
        let lens = [300, 17, 1001, 4, 600];
        let tensors = || (0..5).map(|i| cpu::Tensor::new(format!("{i}"), lens[i])).collect();
        let made = || cpu::Adam::new(&[cpu::Group::new(Config::default(), tensors())], clipped()).unwrap();
        let mut params: Vec<Vec<f32>> = (0..5).map(|i| normals(seed, i, lens[i as usize])).collect();
        let step = |adam: &mut cpu::Adam, params: &mut [Vec<f32>], t: u64| {
            let mut grads: Vec<Vec<f32>> = (0..5).map(|i| normals(seed + 100 * t, i, lens[i as usize])).collect();
            let tensors = params.iter_mut().zip(&mut grads).map(|(param, grad)| cpu::TensorMut::new(param, grad));
            adam.step(&mut tensors.collect::<Vec<_>>()).unwrap()
        };
        let mut adam = made();
        step(&mut adam, &mut params, 1);
        match seed % 3 {
            0 => adam.reset(&["0", "3"]).unwrap(),
            1 => adam.set_active(&["1"], false).unwrap(),
            _ => adam.set_active(&["2", "0"], true).unwrap(),
        }
        step(&mut adam, &mut params, 2);
        let mut next = made();
        next.load_state(&State::from_bytes(&adam.state().to_bytes().unwrap()).unwrap()).unwrap();
        let mut resumed = params.clone();
        let norms = [step(&mut adam, &mut params, 3), step(&mut next, &mut resumed, 3)].map(|report| report.grad_norm);
        assert_eq!((norms[0], &params, adam.state()), (norms[1], &resumed, next.state()), "seed {seed}");
    }
}

/// The report has the learning rate of the group, even if its oldest tensor is inactive.
#[test]
fn the_reported_rate_is_that_of_the_group() {
    let gpu = Gpu::new();
    let mut run =
        Scene::arena(&[10, 20], 4, &[Config { lr: 1.0, ..Config::default() }], Options::default()).start(&gpu);
    let schedule = Schedule::Linear { from: 1.0, to: 0.0, steps: 10 };
    run.adam.set_schedule(0, schedule.clone()).unwrap();
    run.twin.set_schedule(0, schedule).unwrap();
    run.steps(&gpu, 3);
    set(&mut run, &["tensor0"], false);
    run.steps(&gpu, 2);
    let (report, twin) = (gpu.report(&run.adam), run.twin.report());
    assert_eq!(report.groups, twin.groups);
    assert!((report.groups[0].lr - 0.6).abs() < 1e-6 && report.groups[0].t == 5, "{report:?}");
}
