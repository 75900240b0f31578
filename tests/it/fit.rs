//! States that are fitted to an optimizer with other tensors, groups and storage formats, on the GPU and on the twin.

use crate::sampling::sample;
use crate::scene::precisions::{align, stored};
use crate::scene::{Gpu, Run, Scene};
use half::bf16;
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::preset::{optax, pytorch};
use wgpu_adam::state::{Base, Fitted, StateKind, TensorState};
use wgpu_adam::{Clip, Config, Dtype, Error, LossScale, Options, Precision, Schedule, State, cpu};

/// Loads a state into both sides, and asserts that both then have it.
fn load(gpu: &Gpu, run: &mut Run, state: &State) {
    pollster::block_on(run.adam.load_state(state)).unwrap();
    run.twin.load_state(state).unwrap();
    assert_eq!(gpu.state(&run.adam), *state);
    assert_eq!(run.twin.state(), *state);
}

fn texts(fitted: &Fitted) -> Vec<String> {
    fitted.left_out.iter().map(ToString::to_string).collect()
}

fn clocks(state: &State) -> Vec<(usize, u32, u32)> {
    state.clocks.iter().map(|clock| (clock.group, clock.t, clock.position)).collect()
}

#[test]
fn a_state_that_fits_is_not_changed() {
    let gpu = Gpu::new();
    let scene = Scene::arena(&[300, 17, 4], 1, &[Config::default(), pytorch::amsgrad()], Options::default());
    let mut run = scene.start(&gpu);
    run.steps(&gpu, 3);
    run.adam.reset(&["tensor2"]).unwrap();
    run.adam.set_lr(0, 0.5).unwrap();
    gpu.step(&run.adam);
    let state = gpu.state(&run.adam);
    let fresh = scene.start(&gpu).twin.state();
    let (fitted, outcome) = state.fitted(&fresh, Base::State).unwrap();
    assert_eq!(fitted, state);
    assert_eq!((outcome.loaded.join(" "), texts(&outcome)), ("tensor0 tensor2 tensor1".into(), vec![]));
    // With the optimizer as base, its own configurations and counts remain. A tensor keeps its step count.
    let (fitted, _) = state.fitted(&fresh, Base::Optimizer).unwrap();
    assert_eq!((&fitted.groups, fitted.t, &fitted.tensors), (&fresh.groups, 0, &state.tensors));
    assert_eq!(clocks(&fitted), [(0, 4, 0), (0, 1, 0), (1, 4, 0)]);
}

/// One tensor is new, one has another length, and one has another rule.
#[test]
fn fine_tuning_with_a_new_head_keeps_the_moments_of_the_body() {
    let gpu = Gpu::new();
    let options = |initial| {
        let loss_scale = LossScale { initial, ..LossScale::default() };
        Options { clip: Clip::GlobalNorm(1.0), loss_scale: Some(loss_scale), ..Options::default() }
    };
    let configs = [Config::default(), Config { lr: 0.1, ..Config::default() }];
    let mut trained = Scene::arena(&[300, 17, 1001, 4, 8], 1, &configs, options(64.0)).start(&gpu);
    trained.steps(&gpu, 5);
    let mut state = gpu.state(&trained.adam);
    state.tensors[2].name = "lost".into();
    let tuned = [Config { lr: 0.01, ..Config::default() }, optax::lion()];
    for base in [Base::Optimizer, Base::State] {
        // tensor0, tensor2 and tensor4 are in group 0, tensor1 and tensor3 in group 1.
        let mut run = Scene::arena(&[300, 17, 99, 4, 50], 1, &tuned, options(128.0)).start(&gpu);
        run.steps(&gpu, 2);
        let current = gpu.state(&run.adam);
        let (fitted, outcome) = state.fitted(&current, base).unwrap();
        assert_eq!(outcome.loaded, ["tensor0"]);
        let want = [
            "tensor `tensor2`: its length is 1001 in the state, but must be 99",
            "tensor `tensor4` is not in the state",
            "tensor `tensor1`: its rule is Adam in the state, but must be Lion",
            "tensor `tensor3`: its rule is Adam in the state, but must be Lion",
            "tensor `lost` of the state is not in the optimizer",
        ];
        assert_eq!(texts(&outcome), want);
        let position = if base == Base::State { 5 } else { 2 };
        assert_eq!(clocks(&fitted), [(0, 5, position), (0, 2, position), (1, 2, 2)]);
        let lr = if base == Base::State { Config::default().lr } else { 0.01 };
        assert_eq!((fitted.groups[0].config.lr, &fitted.groups[1]), (lr, &current.groups[1]));
        let scale = if base == Base::State { 64.0 } else { 128.0 };
        assert_eq!((fitted.t, fitted.loss_scale.unwrap().scale), (position, scale));
        assert_eq!(fitted.tensors[0].state, state.tensors[0].state);
        for (fitted, own) in fitted.tensors.iter().zip(&current.tensors).skip(1) {
            assert_eq!((&fitted.name, &fitted.state), (&own.name, &own.state));
        }
        load(&gpu, &mut run, &fitted);
        run.scene.configs[0].lr = lr;
        run.steps(&gpu, 5);
        run.assert_same(&gpu);
    }
}

/// The groups are in another order and divided in another way. The run goes on as if nothing had happened.
#[test]
fn a_run_goes_on_with_its_groups_in_another_order() {
    let schedule = Schedule::Cosine { from: 1.0, to: 0.0, steps: 20 };
    let adam = |groups: &[(Config, &[(&str, usize)])]| {
        let group = |(config, tensors): &(Config, &[(&str, usize)])| {
            cpu::Group::new(config.clone(), tensors.iter().map(|(name, len)| cpu::Tensor::new(*name, *len)).collect())
        };
        cpu::Adam::new(&groups.iter().map(group).collect::<Vec<_>>(), Options::default()).unwrap()
    };
    let (one, two) = (Config { lr: 0.1, ..Config::default() }, pytorch::amsgrad());
    let mut old = adam(&[(one.clone(), &[("a", 3), ("b", 2)]), (two.clone(), &[("c", 1)])]);
    old.set_schedule(0, schedule.clone()).unwrap();
    let step = |adam: &mut cpu::Adam, params: &mut [Vec<f32>; 3], order: [usize; 3], t: u32| {
        let mut grads: Vec<Vec<f32>> = order.iter().map(|i| vec![(t as f32 + *i as f32).sin(); 3 - i]).collect();
        let mut taken: Vec<(usize, &mut Vec<f32>)> = params.iter_mut().enumerate().collect();
        taken.sort_by_key(|(i, _)| order.iter().position(|at| at == i));
        let slots = taken.into_iter().zip(&mut grads).map(|((_, param), grad)| cpu::TensorMut::new(param, grad));
        adam.step(&mut slots.collect::<Vec<_>>()).unwrap();
    };
    let mut params = [vec![1.0; 3], vec![2.0; 2], vec![3.0]];
    (0..4).for_each(|t| step(&mut old, &mut params, [0, 1, 2], t));
    old.reset(&["b"]).unwrap();
    (4..8).for_each(|t| step(&mut old, &mut params, [0, 1, 2], t));
    let other = Config { lr: 9.0, ..Config::default() };
    let mut new =
        adam(&[(two, &[("c", 1)]), (other.clone(), &[("b", 2)]), (other.clone(), &[("a", 3)]), (other.clone(), &[])]);
    let (state, fitted) = old.state().fitted(&new.state(), Base::State).unwrap();
    assert_eq!((fitted.loaded.join(" "), fitted.left_out.len()), ("c b a".into(), 0));
    assert_eq!(clocks(&state), [(0, 8, 8), (1, 4, 8), (2, 8, 8), (3, 0, 0)]);
    let configs: Vec<&Config> = state.groups.iter().map(|group| &group.config).collect();
    assert_eq!(configs, [&old.groups()[1].config, &one, &one, &other]);
    new.load_state(&state).unwrap();
    assert_eq!(new.groups()[1].schedule, schedule);
    let mut others = params.clone();
    for t in 8..16 {
        step(&mut old, &mut params, [0, 1, 2], t);
        step(&mut new, &mut others, [2, 1, 0], t);
        assert_eq!(params, others, "step {t}");
    }
    // Groups that differ cannot become one, unless the optimizer's configuration stays.
    let both = adam(&[(other.clone(), &[("a", 3), ("b", 2)]), (pytorch::amsgrad(), &[("c", 1)])]).state();
    let mut state = new.state();
    let (fitted, _) = state.fitted(&both, Base::State).unwrap();
    assert_eq!(clocks(&fitted), [(0, 12, 16), (0, 16, 16), (1, 16, 16)]);
    let differ = Error::to_string;
    let want = "group 0: its tensors come from groups 2 and 1 of the state, which must have the same configuration, \
                schedule and position: make them equal, or fit with Base::Optimizer";
    state.groups[1].config.lr = 3.0;
    assert_eq!(differ(&state.fitted(&both, Base::State).unwrap_err()), want);
    assert_eq!(state.fitted(&both, Base::Optimizer).unwrap().0.groups[0].config, other);
    state.groups[1].config.lr = one.lr;
    state.clocks[1].position += 1;
    assert_eq!(differ(&state.fitted(&both, Base::State).unwrap_err()), want);
    // An invalid state is refused on either side.
    state.clocks[1].group = 7;
    for result in [state.fitted(&both, Base::State), both.fitted(&state, Base::State)] {
        assert!(matches!(result, Err(Error::InvalidState { .. })), "{result:?}");
    }
}

/// What the format of `to` makes of a number of a moment, given the largest magnitude of its block.
fn nearest(kind: StateKind, dtype: Dtype, x: f32, got: f32, largest: f32) -> bool {
    match dtype {
        Dtype::F32 => got == x,
        Dtype::Bf16 => got == bf16::from_f32(x).to_f32(),
        _ if x == largest || x == -largest => got == x,
        // Half the distance of two levels is at most a sixteenth of a large element and an eighth of a small one. Below
        // the levels of m, it is half the lowest level. A v below all levels gets the lowest one.
        _ if kind == StateKind::M => (got - x).abs() <= (x.abs() / 8.0).max(4e-7 * largest),
        _ => (got - x).abs() <= x / 8.0 || x > 0.0 && got > x && got < 2e-12 * largest,
    }
}

fn moments(tensor: &TensorState) -> [(StateKind, Vec<f32>); 3] {
    [(StateKind::M, tensor.m()), (StateKind::V, tensor.v()), (StateKind::VMax, tensor.v_max())]
}

fn find(tensor: &TensorState, kind: StateKind) -> Option<Vec<f32>> {
    tensor.state.iter().find(|state| state.kind == kind).map(|state| state.values())
}

/// Each format is converted to some others, which together are all formats.
#[test]
fn moments_masters_and_remainders_are_converted() {
    let gpu = Gpu::new();
    let scene = |(param, precision): &(Dtype, Precision)| {
        let options = Options { precision: precision.clone(), ..Options::default() };
        let align = align(precision);
        Scene::arena(&[300, 1001], align, &[pytorch::amsgrad()], options).with_dtypes((*param, Dtype::F32), (0, 0))
    };
    let formats: Vec<_> = stored().collect();
    let pairs = formats.iter().flat_map(|from| formats.iter().map(move |to| (from, to)));
    for (from, to) in sample(pairs.step_by(17)) {
        let mut run = scene(from).start(&gpu);
        run.steps(&gpu, 3);
        let state = gpu.state(&run.adam);
        let mut other = scene(to).start(&gpu);
        let current = gpu.state(&other.adam);
        let (fitted, outcome) = state.fitted(&current, Base::State).unwrap();
        assert_eq!((outcome.loaded.len(), outcome.left_out.len()), (2, 0));
        for ((fitted, given), current) in fitted.tensors.iter().zip(&state.tensors).zip(&current.tensors) {
            for ((kind, fitted_values), (_, values)) in moments(fitted).into_iter().zip(moments(given)) {
                let dtype = fitted.state.iter().find(|state| state.kind == kind).unwrap().dtype;
                let same = given.state.iter().any(|state| (state.kind, state.dtype) == (kind, dtype));
                for (got, given) in fitted_values.chunks(256).zip(values.chunks(256)) {
                    let largest = given.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                    for (got, x) in got.iter().zip(given) {
                        let good = if same { got == x } else { nearest(kind, dtype, *x, *got, largest) };
                        assert!(good, "{kind:?} as {dtype:?}: {got:e} for {x:e}\n{from:?}\n{to:?}");
                    }
                }
            }
            let (master, remainder) = (find(fitted, StateKind::Master), find(fitted, StateKind::Remainder));
            if let Some(master) = master {
                let want = find(given, StateKind::Master).or(find(current, StateKind::Master));
                assert_eq!(Some(master), want);
            }
            if let Some(remainder) = remainder {
                let same = find(given, StateKind::Remainder);
                let Some(exact) = find(given, StateKind::Master) else {
                    assert_eq!(Some(remainder), same.or(find(current, StateKind::Remainder)));
                    continue;
                };
                for (x, remainder) in exact.iter().zip(remainder) {
                    let param = u32::from(bf16::from_f32(*x).to_bits());
                    let joined = (param << 16).wrapping_add_signed(remainder as i32);
                    assert!(joined.abs_diff(x.to_bits()) <= 1, "{joined:x} for {:x}", x.to_bits());
                }
            }
        }
        load(&gpu, &mut other, &fitted);
        other.steps(&gpu, 3);
        other.assert_same(&gpu);
        // Back in the first format, the run goes on.
        let (back, _) = gpu.state(&other.adam).fitted(&state, Base::State).unwrap();
        load(&gpu, &mut run, &back);
        run.steps(&gpu, 2);
        run.assert_same(&gpu);
    }
}

/// A master in the middle of two bf16 numbers is rounded to the even one, and a remainder is not.
#[test]
fn a_remainder_of_a_master_that_is_a_tie_is_next_to_it() {
    let adam = |master| {
        let tensor = cpu::Tensor::new("w", 5).with_dtypes(Dtype::Bf16, Dtype::F32);
        let precision = Precision { master, ..Precision::default() };
        cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![tensor])], Options { precision, ..Options::default() })
    };
    let mut state = adam(Master::F32).unwrap().state();
    let bits = [0x3f80_8000_u32, 0x3f81_8000, 0xbf80_8000, 0x3f80_7fff, 0x7f80_0000];
    state.tensors[0].state[2].bytes = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let (fitted, _) = state.fitted(&adam(Master::Remainder).unwrap().state(), Base::State).unwrap();
    let remainders = find(&fitted.tensors[0], StateKind::Remainder).unwrap();
    let joined = bits.iter().zip(remainders).map(|(bits, remainder)| {
        let param = bf16::from_f32(f32::from_bits(*bits)).to_bits();
        (u32::from(param) << 16).wrapping_add_signed(remainder as i32)
    });
    assert_eq!(joined.collect::<Vec<_>>(), [0x3f80_7fff, 0x3f81_8000, 0xbf80_7fff, 0x3f80_7fff, 0x7f80_0000]);
    // 8-bit moments, as a check that the scale is the largest magnitude.
    let options = Options {
        precision: Precision { state: StateDtype::Block8, state_min_len: 0, ..Precision::default() },
        ..Options::default()
    };
    let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 5)]);
    let eight = cpu::Adam::new(&[group], options).unwrap().state();
    state.tensors[0].state[0].bytes =
        [0.5, -3.0, 1e-9, 0.0, f32::NAN].iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
    let m = state.fitted(&eight, Base::State).unwrap().0.tensors[0].m();
    assert_eq!(m[..4], [0.515625, -3.0, 0.0, 0.0]);
    assert!(m[4].is_nan());
}

/// Which tensors are active belongs to the run that goes on.
#[test]
fn the_run_that_goes_on_says_which_tensors_are_active() {
    let made = || {
        let tensors = ["a", "b", "c"].map(|name| cpu::Tensor::new(name, 4)).to_vec();
        cpu::Adam::new(&[cpu::Group::new(Config::default(), tensors)], Options::default()).unwrap()
    };
    let (mut file, mut own) = (made(), made());
    file.set_active(&["a"], false).unwrap();
    own.set_active(&["b"], false).unwrap();
    let active = |state: &State| {
        let clock = |tensor: &wgpu_adam::state::TensorState| state.clocks[tensor.clock].active != Some(false);
        state.tensors.iter().map(clock).collect::<Vec<_>>()
    };
    for (base, want) in [(Base::Optimizer, [true, false, true]), (Base::State, [false, true, true])] {
        let (fitted, outcome) = file.state().fitted(&own.state(), base).unwrap();
        assert_eq!((active(&fitted), outcome.loaded.len()), (want.to_vec(), 3), "{base:?}");
        let mut next = made();
        next.load_state(&fitted).unwrap();
        assert_eq!(active(&next.state()), want);
    }
}
