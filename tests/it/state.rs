//! A run that is saved, loaded and continued gives the same bits as an uninterrupted run: on the GPU, in another
//! process and through the twin, for every variant and every way to store numbers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::child;
use crate::sampling::sample;
use crate::scene::precisions::{GRADS, align, stored};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Numbers, Run, Scene, assert_same};
use wgpu::Limits;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::state::{ClockState, StateKind, Transfer};
use wgpu_adam::{Clip, Config, Decay, Dtype, Error, LossScale, Options, Precision, Report, State, Variant};

fn options() -> Options {
    Options { clip: Clip::GlobalNorm(1.0), skip_nonfinite: true, ..Options::default() }
}

/// An empty folder for the files of one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn load(run: &mut Run, state: &State) -> Result<(), Error> {
    pollster::block_on(run.adam.load_state(state))
}

fn arena(configs: &[Config]) -> Scene {
    Scene::arena(&[300, 17, 1001, 4], 1, configs, options())
}

/// One scene for every way to store params and state. Its groups use every second variant, and alternate scenes use the
/// others. The gradients use each dtype in turn. Some scenes keep small tensors in f32, and some have a loss scale.
fn cases() -> Vec<Scene> {
    let cases = stored().enumerate().map(|(i, (param, precision))| {
        let variants = variants().into_iter().cycle().skip(i).step_by(2);
        let configs = sample(variants.take(11));
        let lens: Vec<usize> = [300, 17, 1001, 4, 3].into_iter().cycle().take(2 * configs.len()).collect();
        let precision = Precision { state_min_len: [0, 100][i / 3 % 2], ..precision };
        let loss_scale = LossScale { initial: 64.0, growth_interval: 2, ..LossScale::default() };
        let options =
            Options { precision: precision.clone(), loss_scale: (i % 3 == 1).then_some(loss_scale), ..options() };
        let align = align(&precision);
        Scene::arena(&lens, align, &configs, options)
            .with_dtypes((param, GRADS[i % GRADS.len()]), (i % 3 * align, i % 2))
    });
    sample(cases)
}

/// Makes `steps` steps, one of which is skipped (except with integer gradients, which are always finite).
fn started(gpu: &Gpu, scene: &Scene, steps: usize) -> Run {
    let mut run = scene.start(gpu);
    run.steps(gpu, steps / 2);
    run.fresh_grads();
    let spot = &scene.spots[0];
    Numbers::new(spot.formats.1, 1.0, &[f32::NAN]).put(&mut run.grads[0], spot.grad + 40);
    run.upload_grads(gpu);
    gpu.step(&run.adam);
    run.twin_step();
    run.steps(gpu, steps - steps / 2);
    run
}

/// Continues both runs, and asserts that they stay equal.
fn same_from_here(gpu: &Gpu, one: &mut Run, other: &mut Run, steps: usize) {
    one.steps(gpu, steps);
    other.steps(gpu, steps);
    for (a, b) in one.param_buffers.iter().zip(&other.param_buffers) {
        assert_same(&gpu.read(a), &gpu.read(b), "params");
    }
    assert_eq!(gpu.state(&one.adam), gpu.state(&other.adam));
    assert_eq!(one.twin.state(), other.twin.state());
    // A state does not contain the name of the tensor that caused the last skip. The reports are compared as text, so
    // that a NaN equals a NaN.
    let report = |run: &Run| {
        let mut report: Report = gpu.report(&run.adam);
        report.nonfinite_tensor = None;
        format!("{report:?}")
    };
    assert_eq!(report(one), report(other));
}

#[test]
fn every_variant_resumes_exactly_from_a_file() {
    let gpu = Gpu::new();
    let folder = folder("variants");
    for (i, config) in sample(variants().into_iter().enumerate()) {
        let other = Config { lr: 0.02, decay: Decay::Decoupled(0.1), ..config };
        let mut run = started(&gpu, &arena(&[config.clone(), other]), 30);
        run.adam.set_lr(1, 0.013).unwrap();
        run.twin.set_lr(1, 0.013).unwrap();
        let path = folder.join(format!("{i}.safetensors"));
        gpu.state(&run.adam).save(&path).unwrap();
        let mut resumed = run.fresh(&gpu);
        let state = State::load(&path).unwrap();
        assert_eq!(state, gpu.state(&run.adam), "{config:?}");
        assert_eq!((state.t, state.skipped, state.groups[1].config.lr), (30, 1, 0.013));
        load(&mut resumed, &state).unwrap();
        resumed.twin.load_state(&run.twin.state()).unwrap();
        same_from_here(&gpu, &mut run, &mut resumed, 50);
        if gpu.software {
            run.assert_same(&gpu);
        }
    }
}

#[test]
fn a_run_moves_from_the_gpu_to_the_twin_and_back_through_files() {
    let gpu = Gpu::new();
    for scene in cases() {
        let mut run = started(&gpu, &scene, 6);
        let to_twin = gpu.state(&run.adam).to_bytes().unwrap();
        // The twin makes some steps without the GPU.
        run.twin.load_state(&State::from_bytes(&to_twin).unwrap()).unwrap();
        let mut resumed = run.fresh(&gpu);
        resumed.twin = run.twin.clone();
        for _ in 0..4 {
            resumed.fresh_grads();
            resumed.twin_step();
        }
        // The GPU continues from the twin's state.
        let to_gpu = resumed.twin.state().to_bytes().unwrap();
        for (buffer, params) in resumed.param_buffers.iter().zip(&resumed.params) {
            gpu.write(buffer, params);
        }
        load(&mut resumed, &State::from_bytes(&to_gpu).unwrap()).unwrap();
        assert_eq!(gpu.state(&resumed.adam), resumed.twin.state(), "{scene:?}");
        run.steps(&gpu, 4);
        if gpu.software {
            assert_eq!(run.twin.state(), resumed.twin.state(), "{scene:?}");
            same_from_here(&gpu, &mut run, &mut resumed, 4);
            resumed.assert_same(&gpu);
        }
    }
}

/// The test runs itself in another process, which resumes all runs. The environment contains the folder of their files.
#[test]
fn every_run_resumes_in_another_process() {
    const FOLDER: &str = "WGPU_ADAM_TEST_RESUME";
    let gpu = Gpu::new();
    let more = |run: &mut Run| {
        for step in 0..5 {
            run.steps = 1000 + step;
            run.fresh_grads();
            run.upload_grads(&gpu);
            gpu.step(&run.adam);
        }
    };
    let params = |run: &Run| bytemuck::cast_slice(&gpu.read(&run.param_buffers[0])).to_vec();
    if let Ok(folder) = std::env::var(FOLDER) {
        for (i, scene) in cases().iter().enumerate() {
            let path = |file: &str| Path::new(&folder).join(format!("{i}.{file}"));
            let mut run = scene.start(&gpu);
            gpu.queue.write_buffer(&run.param_buffers[0], 0, &std::fs::read(path("params")).unwrap());
            let state = State::load(path("state")).unwrap();
            load(&mut run, &state).unwrap();
            // The twin provides the loss scale for the gradients.
            run.twin.load_state(&state).unwrap();
            more(&mut run);
            std::fs::write(path("params"), params(&run)).unwrap();
            gpu.state(&run.adam).save(path("state")).unwrap();
        }
        return;
    }
    let folder = folder("process");
    let path = |i: usize, file: &str| folder.join(format!("{i}.{file}"));
    let mut ends: Vec<(State, Vec<u8>)> = Vec::new();
    for (i, scene) in cases().iter().enumerate() {
        let mut run = started(&gpu, scene, 6);
        std::fs::write(path(i, "params"), params(&run)).unwrap();
        gpu.state(&run.adam).save(path(i, "state")).unwrap();
        more(&mut run);
        ends.push((gpu.state(&run.adam), params(&run)));
    }
    let status = child::test(every_run_resumes_in_another_process).env(FOLDER, &folder).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    for (i, ((state, params), scene)) in ends.iter().zip(cases()).enumerate() {
        assert!(State::load(path(i, "state")).unwrap() == *state, "{scene:?}");
        assert!(std::fs::read(path(i, "params")).unwrap() == *params, "{scene:?}");
    }
}

#[test]
fn a_state_larger_than_the_staging_buffer_is_transferred_in_pieces() {
    let gpu = Gpu::new();
    let run = started(&gpu, &arena(&[Config::default(), Config { lr: 0.1, ..Config::default() }]), 10);
    let whole = gpu.state(&run.adam);
    for staging in [1, 4, 100, 1000, 1004, 1 << 20] {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let transfer = || {
            let calls = calls.clone();
            Transfer::default()
                .with_staging_bytes(staging)
                .with_progress(move |done, total| calls.lock().unwrap().push((done, total)))
        };
        let check = |least: u64| {
            let calls = std::mem::take(&mut *calls.lock().unwrap());
            let (last, total) = *calls.last().unwrap();
            assert!(last == total && total >= least, "{last} of {total}, at least {least}");
            assert!(calls.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[1].0 - pair[0].0 <= staging.max(4)));
            let pieces = total.div_ceil((staging / 4 * 4).max(4));
            assert_eq!(calls.len() as u64, pieces, "{staging}");
        };
        let state = pollster::block_on(run.adam.read_state_with(transfer())).unwrap();
        assert_eq!(state, whole, "{staging}");
        // Two state tensors of 1,322 f32.
        check(2 * 4 * 1322);
        let mut other = run.scene.start(&gpu);
        let written = other.adam.load_state_with(&state, transfer());
        pollster::block_on(written).unwrap();
        check(2 * 4 * 1322);
        assert_eq!(gpu.state(&other.adam), whole, "{staging}");
    }
}

#[test]
fn the_state_of_one_tensor_is_that_in_the_whole_state() {
    let gpu = Gpu::new();
    for scene in cases() {
        let mut run = started(&gpu, &scene, 3);
        // Tensors that were reset have a clock of their own.
        run.adam.reset(&["tensor1"]).unwrap();
        run.twin.reset(&["tensor1"]).unwrap();
        let (whole, twin) = (gpu.state(&run.adam), run.twin.state());
        for (tensor, twin) in whole.tensors.iter().zip(twin.tensors) {
            let name = &tensor.name;
            assert_eq!(pollster::block_on(run.adam.read_tensor_state(name)).unwrap(), *tensor, "{scene:?}");
            assert_eq!(run.twin.tensor_state(name).unwrap(), twin);
        }
    }
    // Tensors that are split, because the device has small limits.
    let small = Limits { max_storage_buffer_binding_size: 4096, ..Limits::default() };
    let gpu = Gpu::with(small);
    let options = Options { precision: Precision { state: StateDtype::Block8, ..Precision::default() }, ..options() };
    for options in [self::options(), options] {
        let run = started(&gpu, &Scene::arena(&[5000, 17, 4201], 64, &[Config::default()], options), 3);
        for tensor in gpu.state(&run.adam).tensors {
            assert_eq!(pollster::block_on(run.adam.read_tensor_state(&tensor.name)).unwrap(), tensor);
        }
        let error = pollster::block_on(run.adam.read_tensor_state("none")).unwrap_err();
        assert_eq!(error.to_string(), "tensor `none` does not exist");
        assert_eq!(run.twin.tensor_state("none"), Err(error));
    }
}

#[test]
fn a_step_while_the_state_is_read_in_pieces_is_detected() {
    let gpu = Gpu::new();
    let run = started(&gpu, &arena(&[Config::default()]), 10);
    let before = gpu.state(&run.adam);
    let in_pieces = run.adam.read_state_with(Transfer::default().with_staging_bytes(1000));
    let at_once = run.adam.read_state();
    gpu.step(&run.adam);
    // The skipped step counts too.
    let error = pollster::block_on(in_pieces).unwrap_err();
    assert!(matches!(error, Error::StateMoved { began: 11, ended: 12, .. }), "{error:?}");
    // A state that fits into the staging buffer is read at once, and later steps do not affect it.
    assert_eq!(pollster::block_on(at_once).unwrap(), before);
}

type Change<'a> = &'a dyn Fn(&mut State);

#[test]
fn a_state_that_does_not_fit_is_named_and_changes_nothing() {
    let gpu = Gpu::new();
    let configs = [Config::default(), Config { lr: 0.1, ..Config::default() }];
    let mut run = started(&gpu, &arena(&configs), 10);
    let good = gpu.state(&run.adam);
    let refused = |run: &mut Run, change: Change, want: &str| {
        let mut state = good.clone();
        // These changes would be visible if the state were loaded.
        state.t += 1;
        state.groups[0].config.lr = 7.0;
        state.tensors[0].state[0].bytes.fill(1);
        change(&mut state);
        let before = (gpu.state(&run.adam), run.twin.state());
        assert_eq!(load(run, &state).unwrap_err().to_string(), want);
        assert_eq!(run.twin.load_state(&state).unwrap_err().to_string(), want);
        assert_eq!((gpu.state(&run.adam), run.twin.state()), before, "{want}");
    };
    let name = "tensor0";
    assert_eq!(good.tensors[0].name, name);
    let cases: [(Change, &str); 24] = [
        (&|s| s.tensors[0].name = "other".into(), "tensor `tensor0` is not in the state"),
        (
            &|s| s.tensors[0].name = "tensor1".into(),
            "tensor `tensor1`: the name is used twice, but names must be unique over all groups",
        ),
        (
            &|s| {
                s.tensors.remove(0);
            },
            "tensor `tensor0` is not in the state",
        ),
        (
            &|s| {
                let mut more = s.tensors[0].clone();
                more.name = "more".into();
                s.tensors.push(more);
            },
            "tensor `more` of the state is not in the optimizer",
        ),
        (
            &|s| {
                s.tensors[0].len = 299;
                s.tensors[0].state.iter_mut().for_each(|moment| moment.bytes.truncate(4 * 299));
            },
            "tensor `tensor0`: its length is 299 in the state, but must be 300",
        ),
        (
            &|s| {
                s.tensors[0].state[0].dtype = Dtype::Bf16;
                s.tensors[0].state[0].bytes.truncate(2 * 300);
            },
            "tensor `tensor0`: its list of state tensors is [m as Bf16 in 600 bytes, v as F32 in 1200 bytes] in the state, \
             but must be [m as F32 in 1200 bytes, v as F32 in 1200 bytes]",
        ),
        (&|s| s.tensors[0].clock = 1, "tensor `tensor0`: its group is 1 in the state, but must be 0"),
        (
            &|s| s.tensors[0].clock = 2,
            "invalid optimizer state: tensor `tensor0` refers to clock 2, but there are 2 clocks",
        ),
        (&|s| s.clocks[1].group = 2, "invalid optimizer state: clock 1 refers to group 2, but there are 2 groups"),
        (
            &|s| {
                s.tensors[0].state[0].bytes.pop();
            },
            "invalid optimizer state: tensor `tensor0`: m as F32 has 1199 bytes, but 300 elements need 1200",
        ),
        (
            &|s| s.tensors[0].len = u64::MAX,
            "invalid optimizer state: tensor `tensor0`: m as F32 has 1200 bytes, but 18446744073709551615 elements need \
             18446744073709551615",
        ),
        (
            &|s| {
                s.tensors[0].state.pop();
            },
            "invalid optimizer state: tensor `tensor0`: v is missing",
        ),
        (&|s| s.tensors[0].state[1].kind = StateKind::M, "invalid optimizer state: tensor `tensor0`: v is missing"),
        (
            &|s| {
                let again = s.tensors[0].state[0].clone();
                s.tensors[0].state.push(again);
            },
            "invalid optimizer state: tensor `tensor0`: m occurs twice",
        ),
        (
            &|s| {
                let mut more = s.tensors[0].state[0].clone();
                more.kind = StateKind::MScale;
                s.tensors[0].state.push(more);
            },
            "invalid optimizer state: tensor `tensor0`: m_scale belongs neither to the rule Adam nor to 8-bit moments of it",
        ),
        (
            &|s| s.tensors[0].state[0].dtype = Dtype::I32,
            "invalid optimizer state: tensor `tensor0`: m is I32, which it cannot be",
        ),
        (
            &|s| {
                s.tensors[0].state[0].dtype = Dtype::U8;
                s.tensors[0].state[0].bytes.truncate(300);
            },
            "invalid optimizer state: tensor `tensor0`: m_scale is missing",
        ),
        (
            &|s| {
                s.clocks.push(s.clocks[0].clone());
                s.clocks[2].position += 1;
            },
            "invalid optimizer state: group 0: clock 0 has position 10 and clock 2 has 11, but must have the same",
        ),
        (&|s| s.clocks[1].group = 0, "invalid optimizer state: group 1 has no clock, but must have at least one"),
        (
            &|s| s.options.clip = Clip::GlobalNorm(f64::NAN),
            "option clip (global norm) is NaN, but must be finite and above 0",
        ),
        (
            &|s| {
                s.groups.push(s.groups[0].clone());
                s.clocks.push(ClockState::at(2, &s.groups[2].config, 0));
            },
            "the state has 3 groups, but the optimizer has 2",
        ),
        (
            &|s| s.groups[1].config.variant = Variant::NAdam { momentum_decay: None },
            "group 1: the state has the rule NAdam, but the optimizer has Adam",
        ),
        (
            &|s| s.groups[1].config.variant = Variant::Lion,
            "invalid optimizer state: tensor `tensor1`: v belongs neither to the rule Lion nor to 8-bit moments of it",
        ),
        (&|s| s.groups[1].config.beta1 = 1.5, "group 1: beta1 is 1.5, but must be in [0, 1)"),
    ];
    for (change, want) in cases {
        refused(&mut run, change, want);
    }
    run.steps(&gpu, 10);
    run.assert_same(&gpu);
}

/// The configuration may change while the state is loaded, but its rule may not.
#[test]
fn loading_adopts_the_configurations_of_the_state() {
    let gpu = Gpu::new();
    let mut run = started(&gpu, &arena(&[Config::default()]), 10);
    let mut state = gpu.state(&run.adam);
    state.groups[0].config = Config { lr: 0.05, decay: Decay::L2(0.1), beta1: 0.5, ..Config::default() };
    load(&mut run, &state).unwrap();
    run.twin.load_state(&state).unwrap();
    run.scene.configs[0] = state.groups[0].config.clone();
    run.steps(&gpu, 20);
    run.assert_same(&gpu);
    assert_eq!(gpu.report(&run.adam).groups[0].lr, 0.05);
}
