//! Tensors and groups that are added, removed and reset in mid-run: each tensor moves as it would alone, from its own
//! first step on.

use crate::scene::{Gpu, assert_same, mix, normal};
use wgpu::{Buffer, Limits};
use wgpu_adam::preset::{optax, pytorch};
use wgpu_adam::{Adam, Clip, Config, Decay, Error, Group, Options, Schedule, State, Tensor, View, cpu};

const LENS: [usize; 6] = [300, 17, 1001, 4, 2, 90];

fn configs() -> [Config; 3] {
    [
        Config { lr: 0.01, ..Config::default() },
        Config { decay: Decay::Decoupled(0.1), ..pytorch::amsgrad() },
        Config { lr: 0.003, ..optax::adagrad() },
    ]
}

/// All tensors in one buffer of params and one of grads, on the GPU and on the twin, and each tensor alone on a twin of
/// its own.
struct World {
    gpu: Gpu,
    param: Buffer,
    grad: Buffer,
    adam: Adam,
    twin: cpu::Adam,
    /// The tensors that are optimized now, as numbers by group, in the order of the library.
    groups: Vec<Vec<usize>>,
    params: Vec<Vec<f32>>,
    alone: Vec<Option<cpu::Adam>>,
    steps: u64,
}

impl World {
    fn new(gpu: Gpu, configs: &[Config], options: Options, groups: Vec<Vec<usize>>) -> Self {
        let params: Vec<Vec<f32>> =
            (0..LENS.len()).map(|i| (0..LENS[i]).map(|e| normal(1, i as u64, e as u64)).collect()).collect();
        let (param, grad) = (gpu.buffer(&params.concat()), gpu.buffer(&params.concat()));
        let on_gpu = groups
            .iter()
            .zip(configs)
            .map(|(own, config)| Group::new(config.clone(), own.iter().map(|&i| tensor(&param, &grad, i)).collect()));
        let adam = Adam::new(&gpu.device, &gpu.queue, &on_gpu.collect::<Vec<_>>(), options.clone()).unwrap();
        let on_cpu = groups.iter().zip(configs);
        let on_cpu =
            on_cpu.map(|(own, config)| cpu::Group::new(config.clone(), own.iter().map(|&i| twin(i)).collect()));
        let cpu = cpu::Adam::new(&on_cpu.collect::<Vec<_>>(), options.clone()).unwrap();
        let alone = (0..LENS.len()).map(|i| {
            let group = groups.iter().position(|own| own.contains(&i))?;
            Some(alone(i, configs[group].clone(), options.clone()))
        });
        let alone = alone.collect();
        Self { gpu, param, grad, adam, twin: cpu, groups, params, alone, steps: 0 }
    }

    fn step(&mut self) {
        self.steps += 1;
        let mut grads: Vec<Vec<f32>> = (0..LENS.len())
            .map(|i| (0..LENS[i]).map(|e| normal(2 + self.steps, i as u64, e as u64)).collect())
            .collect();
        self.gpu.write(&self.grad, &grads.concat());
        self.gpu.step(&self.adam);
        let (before, mut fresh) = (self.params.clone(), grads.clone());
        let mut slots: Vec<Option<cpu::TensorMut>> = self
            .params
            .iter_mut()
            .zip(&mut grads)
            .map(|(param, grad)| Some(cpu::TensorMut::new(param, grad)))
            .collect();
        let mut slots: Vec<_> = self.groups.iter().flatten().filter_map(|&i| slots[i].take()).collect();
        self.twin.step(&mut slots).unwrap();
        for (i, alone) in self.alone.iter_mut().enumerate() {
            if let Some(adam) = alone {
                let mut param = before[i].clone();
                adam.step(&mut [cpu::TensorMut::new(&mut param, &mut fresh[i])]).unwrap();
                assert_same(&param, &self.params[i], &format!("tensor {i} alone"));
            } else {
                assert_same(&before[i], &self.params[i], &format!("tensor {i}, which is not optimized"));
            }
        }
    }

    /// Compares the GPU, the twin, and the tensors alone.
    fn check(&self) {
        let (state, twin) = (self.gpu.state(&self.adam), self.twin.state());
        for valid in [&state, &twin].map(State::to_bytes) {
            valid.unwrap();
        }
        if self.gpu.software {
            assert_same(&self.gpu.read(&self.param), &self.params.concat(), "params");
            assert_eq!(state, twin);
        }
        let numbers: Vec<usize> = self.groups.iter().flatten().copied().collect();
        assert_eq!(twin.tensors.len(), numbers.len());
        for (tensor, i) in twin.tensors.iter().zip(numbers) {
            let own = self.alone[i].as_ref().unwrap().state();
            assert_eq!(tensor.state, own.tensors[0].state, "tensor {i}");
            let (clock, mut alone) = (&twin.clocks[tensor.clock], own.clocks[0].clone());
            (alone.group, alone.position) = (clock.group, clock.position);
            assert_eq!(*clock, alone, "tensor {i}");
        }
    }

    fn add(&mut self, group: usize, numbers: &[usize], config: Config, options: Options) {
        let tensors = numbers.iter().map(|&i| tensor(&self.param, &self.grad, i));
        self.adam.add(group, tensors).unwrap();
        self.twin.add(group, numbers.iter().map(|&i| twin(i))).unwrap();
        self.groups[group].extend(numbers);
        numbers.iter().for_each(|&i| self.alone[i] = Some(alone(i, config.clone(), options.clone())));
    }

    fn remove(&mut self, numbers: &[usize]) {
        let names: Vec<String> = numbers.iter().map(|i| format!("t{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.adam.remove(&names).unwrap();
        self.twin.remove(&names).unwrap();
        self.groups.iter_mut().for_each(|own| own.retain(|i| !numbers.contains(i)));
        numbers.iter().for_each(|&i| self.alone[i] = None);
    }

    fn reset(&mut self, numbers: &[usize], config: Config, options: Options) {
        let names: Vec<String> = numbers.iter().map(|i| format!("t{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.adam.reset(&names).unwrap();
        self.twin.reset(&names).unwrap();
        numbers.iter().for_each(|&i| self.alone[i] = Some(alone(i, config.clone(), options.clone())));
    }
}

fn tensor(param: &Buffer, grad: &Buffer, i: usize) -> Tensor {
    let (first, len) = (LENS[..i].iter().sum::<usize>() as u64, LENS[i] as u64);
    Tensor::new(format!("t{i}"), View::f32(param).slice(first..first + len), View::f32(grad).slice(first..first + len))
}

fn twin(i: usize) -> cpu::Tensor {
    cpu::Tensor::new(format!("t{i}"), LENS[i])
}

fn alone(i: usize, config: Config, options: Options) -> cpu::Adam {
    cpu::Adam::new(&[cpu::Group::new(config, vec![twin(i)])], options).unwrap()
}

/// A device with default limits, and one with limits so small that tensors are split.
fn gpus() -> [Gpu; 2] {
    let small =
        Limits { max_storage_buffer_binding_size: 4096, max_compute_workgroups_per_dimension: 2, ..Limits::default() };
    [Gpu::new(), Gpu::with(small)]
}

#[test]
fn each_tensor_moves_as_it_would_alone() {
    let options = Options::default();
    for gpu in gpus() {
        let mut world = World::new(gpu, &configs(), options.clone(), vec![vec![0, 3], vec![2], vec![5]]);
        let configs = configs();
        let steps = |world: &mut World| {
            (0..5).for_each(|_| world.step());
            world.check();
        };
        steps(&mut world);
        world.add(0, &[1, 4], configs[0].clone(), options.clone());
        steps(&mut world);
        // This tensor lies between two others.
        world.reset(&[1], configs[0].clone(), options.clone());
        steps(&mut world);
        world.remove(&[0, 2]);
        steps(&mut world);
        // Tensors can be added to a group that has none.
        world.add(1, &[2, 0], configs[1].clone(), options.clone());
        world.reset(&[3, 2], configs[0].clone(), options.clone());
        world.alone[2] = Some(alone(2, configs[1].clone(), options.clone()));
        steps(&mut world);
        let group = |world: &World| Group::new(configs[2].clone(), vec![tensor(&world.param, &world.grad, 3)]);
        world.remove(&[3]);
        let group = group(&world);
        assert_eq!(world.adam.add_group(group), Ok(3));
        assert_eq!(world.twin.add_group(cpu::Group::new(configs[2].clone(), vec![twin(3)])), Ok(3));
        world.groups.push(vec![3]);
        world.alone[3] = Some(alone(3, configs[2].clone(), options.clone()));
        steps(&mut world);
        let ts: Vec<u32> = world.gpu.report(&world.adam).groups.iter().map(|group| group.t).collect();
        assert_eq!(ts, [25, 10, 30, 5], "the steps of the oldest tensors in each group");
        assert_eq!(world.gpu.report(&world.adam).t, 30);
    }
}

/// Random changes in a random order.
#[test]
fn a_hundred_random_changes_keep_all_sides_equal() {
    let options = Options { zero_grad: true, ..Options::default() };
    let config = configs()[0].clone();
    for (gpu, seed) in gpus().into_iter().zip(0..) {
        let mut world =
            World::new(gpu, &[config.clone(), config.clone()], options.clone(), vec![vec![0, 1, 2], vec![3]]);
        for round in 0..100 {
            let dice = mix(seed << 32 | round);
            let (i, group) = (dice as usize % LENS.len(), (dice >> 16) as usize % 2);
            let present = world.groups.iter().any(|own| own.contains(&i));
            match (present, dice >> 32 & 1) {
                (false, _) => world.add(group, &[i], config.clone(), options.clone()),
                (true, 0) => world.reset(&[i], config.clone(), options.clone()),
                (true, _) if world.groups.concat().len() > 1 => world.remove(&[i]),
                _ => {}
            }
            world.step();
            world.check();
        }
    }
}

/// The learning rate of a group applies to all its tensors, whenever they were added.
#[test]
fn a_changed_learning_rate_applies_to_tensors_added_later() {
    let options = Options::default();
    let mut world = World::new(Gpu::new(), &configs(), options.clone(), vec![vec![0], vec![2], vec![5]]);
    world.step();
    let set_lr = |world: &mut World, lr: f64| {
        world.adam.set_lr(0, lr).unwrap();
        world.twin.set_lr(0, lr).unwrap();
        for i in [0, 1] {
            if let Some(alone) = &mut world.alone[i] {
                alone.set_lr(0, lr).unwrap();
            }
        }
    };
    set_lr(&mut world, 0.5);
    world.add(0, &[1], Config { lr: 0.5, ..configs()[0] }, options);
    world.step();
    world.check();
    set_lr(&mut world, 0.25);
    world.step();
    world.check();
    assert_eq!(world.gpu.state(&world.adam).groups[0].config.lr, 0.25);
}

/// With clipping and skip_nonfinite: the norm includes the current tensors, and a skipped step counts for all.
#[test]
fn clipping_covers_the_current_tensors() {
    let options = Options { clip: Clip::GlobalNorm(0.5), skip_nonfinite: true, ..Options::default() };
    for gpu in gpus() {
        let mut world = World::new(gpu, &configs(), options.clone(), vec![vec![0, 1], vec![2], vec![5]]);
        world.alone.fill(None);
        let check = |world: &mut World| {
            // A twin with the current plan, which sums in its order.
            world.twin = world.adam.to_cpu();
            world.twin.load_state(&world.gpu.state(&world.adam)).unwrap();
            for _ in 0..5 {
                world.steps += 1;
                let nonfinite = world.steps % 5 == 3;
                let grads: Vec<Vec<f32>> = (0..LENS.len())
                    .map(|i| (0..LENS[i]).map(|e| normal(2 + world.steps, i as u64, e as u64)).collect())
                    .collect();
                let mut grads = grads;
                if nonfinite {
                    grads[2][1000] = f32::NAN;
                }
                world.gpu.write(&world.grad, &grads.concat());
                world.gpu.step(&world.adam);
                let mut slots: Vec<Option<cpu::TensorMut>> = world
                    .params
                    .iter_mut()
                    .zip(&mut grads)
                    .map(|(param, grad)| Some(cpu::TensorMut::new(param, grad)))
                    .collect();
                let mut slots: Vec<_> = world.groups.iter().flatten().filter_map(|&i| slots[i].take()).collect();
                world.twin.step(&mut slots).unwrap();
                assert_eq!(world.gpu.report(&world.adam).last_skipped, nonfinite);
                if world.gpu.software {
                    // As text, so that a NaN equals a NaN.
                    let both = [world.gpu.report(&world.adam), world.twin.report()].map(|r| format!("{r:?}"));
                    assert_eq!(both[0], both[1]);
                }
            }
            if world.gpu.software {
                assert_same(&world.gpu.read(&world.param), &world.params.concat(), "params");
                assert_eq!(world.gpu.state(&world.adam), world.twin.state());
            }
        };
        check(&mut world);
        world.add(0, &[3, 4], configs()[0].clone(), options.clone());
        check(&mut world);
        world.remove(&[0]);
        world.reset(&[2], configs()[1].clone(), options.clone());
        check(&mut world);
        let report = world.gpu.report(&world.adam);
        assert_eq!((report.t, report.skipped), (12, 3));
    }
}

/// A schedule counts the steps of its group, also for tensors that are added later. Bias corrections count the steps of
/// the tensor. A state contains both counts.
#[test]
fn a_schedule_follows_the_steps_of_its_group() {
    let gpu = Gpu::new();
    let schedule = Schedule::Cosine { from: 1.0, to: 0.1, steps: 30 }.with_warm_up(10);
    let config = Config { lr: 0.5, ..Config::default() };
    let values: Vec<f32> = (0..LENS.iter().sum()).map(|e: usize| normal(1, 0, e as u64)).collect();
    let (param, grad) = (gpu.buffer(&values), gpu.buffer(&values));
    let group = Group::new(config.clone(), vec![tensor(&param, &grad, 0)]).with_schedule(schedule.clone());
    let lr = |t: u32| group.lr(t) as f32;
    let mut adam = Adam::new(&gpu.device, &gpu.queue, std::slice::from_ref(&group), Options::default()).unwrap();
    let mut cpu =
        cpu::Adam::new(&[cpu::Group::new(config, vec![twin(0)]).with_schedule(schedule.clone())], Options::default())
            .unwrap();
    let mut params: Vec<Vec<f32>> = LENS.iter().map(|len| vec![1.0; *len]).collect();
    let mut members = vec![0];
    for t in 1..=50_u32 {
        if t == 6 {
            adam.add(0, [tensor(&param, &grad, 1)]).unwrap();
            cpu.add(0, [twin(1)]).unwrap();
            members.push(1);
        } else if t == 21 {
            adam.reset(&["t0", "t1"]).unwrap();
            cpu.reset(&["t0", "t1"]).unwrap();
        } else if t == 31 {
            // The new optimizer has neither the clocks nor the schedule before it loads the state.
            let state = State::from_bytes(&gpu.state(&adam).to_bytes().unwrap()).unwrap();
            let tensors = || [0, 1].map(|i| tensor(&param, &grad, i)).to_vec();
            adam = Adam::new(&gpu.device, &gpu.queue, &[Group::new(Config::default(), tensors())], Options::default())
                .unwrap();
            pollster::block_on(adam.load_state(&state)).unwrap();
            let group = cpu::Group::new(Config::default(), vec![twin(0), twin(1)]);
            cpu = cpu::Adam::new(&[group], Options::default()).unwrap();
            cpu.load_state(&state).unwrap();
            assert_eq!(state.groups[0].schedule.as_ref(), Some(&schedule));
        }
        gpu.step(&adam);
        let mut grads: Vec<Vec<f32>> = LENS.iter().map(|len| vec![1.0; *len]).collect();
        let slots = params.iter_mut().zip(&mut grads).take(members.len());
        cpu.step(&mut slots.map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect::<Vec<_>>()).unwrap();
        for (name, state) in [("gpu", gpu.state(&adam)), ("twin", cpu.state())] {
            let clocks = state.tensors.iter().map(|own| &state.clocks[own.clock]);
            let own: Vec<(u32, u32)> = clocks.map(|clock| (clock.t, clock.position)).collect();
            let since = |came: u32| if t >= 21 { t - 20 } else { t.saturating_sub(came) };
            let want = [(since(0), t), (since(5), t)];
            assert_eq!(own, want[..members.len()], "{name}, step {t}");
            for clock in &state.clocks {
                assert!((clock.lr - lr(t)).abs() <= 1e-6 * 0.5, "{name}, step {t}: {} for {}", clock.lr, lr(t));
            }
        }
    }
}

/// A state in which they differ is invalid, so that writing it to bytes checks that they do not.
#[test]
fn the_clocks_of_a_group_stay_at_one_position() {
    let options = Options::default();
    let config = configs()[0].clone();
    let mut world = World::new(Gpu::new(), &configs(), options.clone(), vec![vec![0, 1], vec![2]]);
    let positions = |world: &World, want: &[(usize, u32, u32)]| {
        for state in [world.gpu.state(&world.adam), world.twin.state()] {
            state.to_bytes().unwrap();
            let clocks: Vec<_> = state.clocks.iter().map(|clock| (clock.group, clock.t, clock.position)).collect();
            assert_eq!(clocks, want);
        }
    };
    (0..3).for_each(|_| world.step());
    world.add(0, &[3], config.clone(), options.clone());
    positions(&world, &[(0, 3, 3), (0, 0, 3), (1, 3, 3)]);
    (0..2).for_each(|_| world.step());
    world.reset(&[0], config.clone(), options.clone());
    positions(&world, &[(0, 5, 5), (0, 2, 5), (0, 0, 5), (1, 5, 5)]);
    // The group keeps its position while it has no tensors.
    world.remove(&[0, 1, 3]);
    (0..4).for_each(|_| world.step());
    world.add(0, &[0], config.clone(), options.clone());
    world.step();
    world.add(0, &[1], config.clone(), options.clone());
    positions(&world, &[(0, 1, 10), (0, 0, 10), (1, 10, 10)]);
    world.check();
    world.adam.set_t(40).unwrap();
    world.twin.set_t(40);
    positions(&world, &[(0, 40, 40), (0, 40, 40), (1, 40, 40)]);
    world.remove(&[0, 1]);
    world.adam.set_t(7).unwrap();
    world.twin.set_t(7);
    world.add(0, &[3], config, options);
    positions(&world, &[(0, 0, 7), (1, 7, 7)]);
}

/// A state contains the clocks. An optimizer that was created with all tensors at once adopts them.
#[test]
fn a_state_contains_the_clocks_of_tensors_added_later() {
    let options = Options::default();
    let mut world = World::new(Gpu::new(), &configs(), options.clone(), vec![vec![0], vec![2], vec![5]]);
    (0..7).for_each(|_| world.step());
    world.add(0, &[1], configs()[0].clone(), options.clone());
    (0..7).for_each(|_| world.step());
    let state = State::from_bytes(&world.gpu.state(&world.adam).to_bytes().unwrap()).unwrap();
    assert_eq!(
        state.clocks.iter().map(|clock| (clock.group, clock.t)).collect::<Vec<_>>(),
        [(0, 14), (0, 7), (1, 14), (2, 14)]
    );
    // Each tensor continues on a twin of its own, whose state is that of the device on a CPU adapter only.
    let state = if world.gpu.software { state } else { world.twin.state() };
    let others = World::new(Gpu::new(), &configs(), options, vec![vec![1, 0], vec![2], vec![5]]);
    (world.adam, world.twin, world.groups) = (others.adam, others.twin, others.groups);
    let resumed = others.gpu.buffer(&world.gpu.read(&world.param));
    others.gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    world.gpu = others.gpu;
    let mut encoder = world.gpu.device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(&resumed, 0, &others.param, 0, None);
    world.gpu.queue.submit([encoder.finish()]);
    (world.param, world.grad) = (others.param, others.grad);
    pollster::block_on(world.adam.load_state(&state)).unwrap();
    world.twin.load_state(&state).unwrap();
    (0..7).for_each(|_| world.step());
    world.check();
    // The same state loads again into the clocks that the optimizer has now.
    pollster::block_on(world.adam.load_state(&world.twin.state())).unwrap();
    world.check();
    // The clocks may be in any order, and one of them may have no tensors.
    let mut state = world.twin.state();
    state.clocks.reverse();
    let clocks = state.clocks.len();
    state.tensors.iter_mut().for_each(|tensor| tensor.clock = clocks - 1 - tensor.clock);
    state.clocks.push(state.clocks[1].clone());
    pollster::block_on(world.adam.load_state(&state)).unwrap();
    world.twin.load_state(&state).unwrap();
    assert_eq!(world.gpu.state(&world.adam), state);
    (0..3).for_each(|_| world.step());
    world.check();
}

#[test]
fn invalid_changes_are_named_and_change_nothing() {
    let mut world = World::new(Gpu::new(), &configs(), Options::default(), vec![vec![0], vec![2], vec![5]]);
    world.step();
    let before = world.gpu.state(&world.adam);
    let unknown = "tensor `t1` does not exist";
    let missing = "group 3 does not exist: the optimizer has 3, counted from 0";
    let twice = "tensor `t0`: the name is used twice, but names must be unique over all groups";
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(message(world.adam.remove(&["t0", "t1"])), unknown);
    assert_eq!(message(world.adam.reset(&["t1"])), unknown);
    assert_eq!(world.adam.remove(&["t0", "t2", "t5"]), Err(Error::NoTensors));
    assert_eq!(message(world.adam.add(3, [])), missing);
    let again = tensor(&world.param, &world.grad, 0);
    assert_eq!(message(world.adam.add(1, [again.clone()])), twice);
    let over = Tensor { name: "over".into(), ..again };
    let error = world.adam.add(1, [over]).unwrap_err().to_string();
    assert_eq!(error, "tensor `over`: its param view shares bytes with the param view of tensor `t0`");
    let wrong = Group::new(Config { beta1: 2.0, ..Config::default() }, vec![]);
    let error = world.adam.add_group(wrong).unwrap_err().to_string();
    assert_eq!(error, "group 3: beta1 is 2, but must be in [0, 1)");
    assert_eq!(message(world.twin.remove(&["t0", "t1"])), unknown);
    assert_eq!(message(world.twin.reset(&["t1"])), unknown);
    assert_eq!(world.twin.remove(&["t0", "t2", "t5"]), Err(Error::NoTensors));
    assert_eq!(message(world.twin.add(3, [])), missing);
    assert_eq!(message(world.twin.add(1, [twin(0)])), twice);
    assert_eq!(world.gpu.state(&world.adam), before);
    world.step();
    world.check();
}

#[test]
fn tensors_may_swap_their_places() {
    let gpu = Gpu::new();
    let values = |seed: u64| -> Vec<f32> { (0..8).map(|e| normal(seed, 0, e)).collect() };
    let (params, grads) = ([values(1), values(2)], [values(3), values(4)]);
    let buffers = |of: &[Vec<f32>; 2]| [gpu.buffer(&of[0]), gpu.buffer(&of[1])];
    let (param, grad) = (buffers(&params), buffers(&grads));
    let tensors = |places: [usize; 2]| {
        ["a", "b"].iter().zip(places).map(|(name, i)| Tensor::f32(*name, &param[i], &grad[i])).collect::<Vec<_>>()
    };
    let group = Group::new(configs()[0].clone(), tensors([0, 1]));
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap();
    let mut twin = adam.to_cpu();
    gpu.step(&adam);
    let alone = adam.rebind(tensors([1, 0]).swap_remove(0));
    assert!(matches!(alone, Err(Error::Overlap { .. })), "{alone:?}");
    adam.rebind_all(tensors([1, 0])).unwrap();
    gpu.step(&adam);

    // The values swap, and the moments stay with the names.
    let (mut params, mut grads) = (params, grads);
    for _ in 0..2 {
        let pairs = params.iter_mut().zip(&mut grads).map(|(param, grad)| cpu::TensorMut::new(param, grad));
        twin.step(&mut pairs.collect::<Vec<_>>()).unwrap();
        params.swap(0, 1);
        grads.swap(0, 1);
    }
    for i in 0..2 {
        assert_same(&gpu.read(&param[i]), &params[i], "a swapped tensor");
    }
}
