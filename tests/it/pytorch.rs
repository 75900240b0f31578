//! Runs that move from PyTorch to this crate and back in the middle, by `interop/pytorch/convert.py`.
//!
//! `tests/pytorch/generate.py` made the numbers. The second half of each run is made by this crate, by PyTorch in
//! float32 and by PyTorch in float64. A miss is an error against float64, in units of the distance that the second half
//! moves. Our miss must be no larger than PyTorch's own, to the tolerance of `golden`.
//!
//! `continue_runs_of_pytorch` is a part of `interop/pytorch/test_convert.py`.

use std::path::{Path, PathBuf};

use crate::golden::problem;
use crate::scene::{Gpu, assert_same};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use wgpu_adam::preset::pytorch;
use wgpu_adam::state::GroupState;
use wgpu_adam::{Adam, Config, Decay, Group, Options, Schedule, State, Tensor, Variant, cpu};

const HALF: usize = 50;
const LEN: usize = 512;
/// The share of PyTorch's miss that is allowed. As in `golden`, two per cent are for the noise in two sums of
/// roundings.
const SHARE: f64 = 1.02;
/// The share for SGD from PyTorch to here, whose miss exceeds the share above on GPU and twin alike. A few dozen large
/// elements make nearly all of it, so its size is random: with 40 other seeds our miss is no larger than PyTorch's in
/// 30 of them, and its median is 0.947 times PyTorch's, in a range from 0.745 to 1.184. See
/// `the_miss_of_sgd_varies_with_the_seed`.
const SGD_TO_HERE: f64 = 1.06;

fn cases() -> Vec<(&'static str, Config)> {
    let variant = |variant, config| Config { variant, ..config };
    let rmsprop =
        Variant::RmsProp { momentum: 0.9, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: false };
    vec![
        ("adamw_amsgrad", variant(Variant::AmsGrad { of_corrected: false }, pytorch::adamw())),
        ("adam_l2", Config { decay: Decay::L2(1e-2), ..pytorch::adam() }),
        ("nadam", pytorch::nadam()),
        ("radam", pytorch::radam()),
        ("adamax", pytorch::adamax()),
        ("rmsprop", variant(rmsprop, pytorch::rmsprop())),
        ("adagrad", variant(Variant::AdaGrad { lr_decay: 1e-3, initial: 0.0 }, pytorch::adagrad())),
        ("sgd", variant(Variant::Sgd { momentum: 0.9, dampening: 0.0, nesterov: true }, pytorch::sgd())),
    ]
}

fn folder(file: String) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(file)
}

/// The gradients of step `t`. The first step is 1.
fn grads(seed: u64, t: usize) -> Vec<f32> {
    problem::grads(seed, t)[..LEN].to_vec()
}

fn twin(config: Config) -> cpu::Adam {
    cpu::Adam::new(&[cpu::Group::new(config, vec![cpu::Tensor::new("w", LEN)])], Options::default()).unwrap()
}

fn steps(adam: &mut cpu::Adam, param: &mut [f32], seed: u64, ts: std::ops::RangeInclusive<usize>) {
    for t in ts {
        adam.step(&mut [cpu::TensorMut::new(&mut *param, &mut grads(seed, t))]).unwrap();
    }
}

/// Makes the first half of a run in this crate.
fn ours(config: Config) -> (State, Vec<f32>) {
    let (mut adam, mut param) = (twin(config), problem::first_params(0, 0)[..LEN].to_vec());
    steps(&mut adam, &mut param, 0, 1..=HALF);
    (adam.state(), param)
}

/// Makes the second half on the twin, from a state.
fn on_twin(config: Config, state: &State, half: &[f32], seed: u64) -> Vec<f32> {
    // The state contains the configuration. Only the rule must match.
    let (mut adam, mut param) = (twin(Config { lr: 9.0, ..config }), half.to_vec());
    adam.load_state(state).unwrap();
    steps(&mut adam, &mut param, seed, HALF + 1..=2 * HALF);
    param
}

/// The same on the GPU.
fn on_gpu(gpu: &Gpu, config: Config, state: &State, half: &[f32]) -> Vec<f32> {
    let (param, grad) = (gpu.buffer(half), gpu.buffer(half));
    let tensors = vec![Tensor::f32("w", &param, &grad)];
    let group = Group::new(Config { lr: 9.0, ..config }, tensors);
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &[group], Options::default()).unwrap();
    pollster::block_on(adam.load_state(state)).unwrap();
    for t in HALF + 1..=2 * HALF {
        gpu.write(&grad, &grads(0, t));
        gpu.step(&adam);
    }
    gpu.read(&param)
}

fn floats(bytes: &[u8], dtype: Dtype) -> Vec<f64> {
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        other => panic!("{other:?}"),
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The root mean square of the error, in units of the root mean square of the distance moved.
fn miss(got: &[f64], want: &[f64], half: &[f64]) -> f64 {
    let rms = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    rms(got, want) / rms(want, half)
}

/// Reads the params at the ends of runs, by name.
fn ends(path: PathBuf) -> impl Fn(String) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    move |name| {
        let ends = SafeTensors::deserialize(&bytes).unwrap();
        let view = ends.tensor(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        floats(view.data(), view.dtype())
    }
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

#[test]
fn a_run_continues_after_a_move_from_or_to_pytorch() {
    let gpu = Gpu::new();
    let end = ends(folder("ends.safetensors".into()));
    for (case, config) in cases() {
        // From PyTorch to here.
        let state = State::load(folder(format!("{case}.torch.safetensors"))).unwrap();
        // PyTorch's SGD does not count steps.
        let t = if case == "sgd" { 1 } else { HALF as u32 };
        assert_eq!((state.t, state.groups[0].config.clone()), (t, config.clone()), "{case}");
        let half = end(format!("{case}.to_here.half"));
        let exact = end(format!("{case}.to_here.f64"));
        let theirs = miss(&end(format!("{case}.to_here.f32")), &exact, &half);
        let share = if case == "sgd" { SGD_TO_HERE } else { SHARE };
        let hardware = if gpu.software { 0.0 } else { 7.0 / (1 << 24) as f64 };
        let half32 = narrowed(&half);
        for (side, hardware, param) in [
            ("GPU", hardware, on_gpu(&gpu, config.clone(), &state, &half32)),
            ("twin", 0.0, on_twin(config.clone(), &state, &half32, 0)),
        ] {
            let own = miss(&widened(&param), &exact, &half);
            println!("{case:14} to here, {side:4}: {own:.2e}, PyTorch {theirs:.2e}, {:.3} of it", own / theirs);
            assert!(own <= share * theirs + hardware, "{case}, {side}: {own} against PyTorch's {theirs}");
        }
        // From here to PyTorch. The file must contain the state that this crate makes today, bit for bit.
        let state = State::load(folder(format!("{case}.ours.safetensors"))).unwrap();
        let (made, half) = ours(config.clone());
        assert_eq!(state, made, "{case}: the file differs from the first half that this crate makes");
        let exact = end(format!("{case}.to_torch.f64"));
        let theirs = miss(&end(format!("{case}.to_torch.f32")), &exact, &widened(&half));
        let own = miss(&widened(&on_twin(config, &state, &half, 0)), &exact, &widened(&half));
        println!("{case:14} to PyTorch: {theirs:.2e}, this crate {own:.2e}, {:.3} of it", own / theirs);
        assert!(own <= SHARE * theirs, "{case}: {own} against PyTorch's {theirs}");
        assert!(theirs < 1e-3, "{case}: PyTorch's miss is too large: {theirs}");
    }
}

/// `generate.py --seeds 40 FOLDER` makes the numbers, and `PYTORCH_SEEDS=FOLDER cargo test --test it pytorch::the_miss
/// -- --ignored --nocapture` runs this test.
#[test]
#[ignore = "needs numbers that are made on demand: see above"]
fn the_miss_of_sgd_varies_with_the_seed() {
    let folder =
        PathBuf::from(std::env::var("PYTORCH_SEEDS").expect("PYTORCH_SEEDS must be the folder that generate.py wrote"));
    let (_, config) = cases().into_iter().find(|(case, _)| *case == "sgd").unwrap();
    let mut ratios = Vec::new();
    for seed in 1.. {
        let file = |what: &str| folder.join(format!("seed{seed}.{what}.safetensors"));
        let Ok(state) = State::load(file("torch")) else { break };
        let [half, exact, single] =
            ["half", "f64", "f32"].map(|which| ends(file("ends"))(format!("sgd.to_here.{which}")));
        let own = widened(&on_twin(config.clone(), &state, &narrowed(&half), seed));
        ratios.push(miss(&own, &exact, &half) / miss(&single, &exact, &half));
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() >= 10, "{} seeds are too few", ratios.len());
    let (below, median) = (ratios.iter().filter(|ratio| **ratio <= 1.0).count(), ratios[ratios.len() / 2]);
    println!("ours is no larger for {below} of {} seeds, median {median:.3}, {ratios:.3?}", ratios.len());
    assert!(median <= 1.0, "our miss is larger for most seeds");
}

/// Writes the input of `generate.py`.
#[test]
#[ignore = "writes files beside generate.py"]
fn write_first_halves() {
    for (case, config) in cases() {
        let (state, param) = ours(config);
        state.save(folder(format!("{case}.ours.safetensors"))).unwrap();
        let data: Vec<u8> = param.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![LEN], &data).unwrap();
        let path = folder(format!("{case}.ours.params.safetensors"));
        safetensors::serialize_to_file([("w", view)], None, &path).unwrap();
    }
}

/// Makes the middle of runs that `interop/pytorch/test_convert.py` begins and ends. It reads `<case>.state.safetensors`,
/// which the converter wrote, and `<case>.run.safetensors`, which has `param.<name>`, for each step `grad.<step>.<name>`,
/// and as metadata the schedule of all groups. It writes `<case>.ours.safetensors` and `<case>.params.safetensors`.
#[test]
#[ignore = "interop/pytorch/test_convert.py runs it"]
fn continue_runs_of_pytorch() {
    let folder = PathBuf::from(std::env::var("PYTORCH_RUNS").expect("PYTORCH_RUNS must be a folder"));
    let gpu = Gpu::new();
    let mut cases = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(case) = name.strip_suffix(".run.safetensors") else { continue };
        continue_run(&gpu, &folder, case);
        cases += 1;
    }
    assert!(cases > 0, "{} has no run", folder.display());
    println!("{cases} runs were continued");
}

fn continue_run(gpu: &Gpu, folder: &Path, case: &str) {
    let file = |what: &str| folder.join(format!("{case}.{what}.safetensors"));
    let state = State::load(file("state")).unwrap_or_else(|e| panic!("{case}: {e}"));
    let bytes = std::fs::read(file("run")).unwrap();
    let run = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: String| run.tensor(&name).ok().map(|view| narrowed(&floats(view.data(), Dtype::F32)));
    let metadata = SafeTensors::read_metadata(&bytes).unwrap().1.metadata().clone().unwrap_or_default();
    let schedule: Schedule =
        metadata.get("schedule").map_or_else(Schedule::default, |json| serde_json::from_str(json).unwrap());

    let mut params: Vec<Vec<f32>> =
        state.tensors.iter().map(|tensor| numbers(format!("param.{}", tensor.name)).unwrap()).collect();
    let buffers: Vec<_> = params.iter().map(|param| (gpu.buffer(param), gpu.buffer(param))).collect();
    let (mut groups, mut on_cpu) = (Vec::new(), Vec::new());
    for (number, GroupState { config, .. }) in state.groups.iter().enumerate() {
        let (mut tensors, mut lens) = (Vec::new(), Vec::new());
        for (tensor, (param, grad)) in state.tensors.iter().zip(&buffers) {
            if state.clocks[tensor.clock].group == number {
                tensors.push(Tensor::f32(&tensor.name, param, grad));
                lens.push(cpu::Tensor::new(&tensor.name, tensor.len as usize));
            }
        }
        groups.push(Group::new(config.clone(), tensors).with_schedule(schedule.clone()));
        on_cpu.push(cpu::Group::new(config.clone(), lens).with_schedule(schedule.clone()));
    }
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &groups, state.options.clone()).unwrap();
    let mut twin = cpu::Adam::new(&on_cpu, state.options.clone()).unwrap();
    pollster::block_on(adam.load_state(&state)).unwrap_or_else(|e| panic!("{case}: {e}"));
    twin.load_state(&state).unwrap();
    for step in 0.. {
        let grads: Option<Vec<_>> =
            state.tensors.iter().map(|tensor| numbers(format!("grad.{step}.{}", tensor.name))).collect();
        let Some(mut grads) = grads else { break };
        for (grad, (_, buffer)) in grads.iter().zip(&buffers) {
            gpu.write(buffer, grad);
        }
        gpu.step(&adam);
        let mut tensors: Vec<_> =
            params.iter_mut().zip(&mut grads).map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        twin.step(&mut tensors).unwrap();
    }
    for ((tensor, param), (buffer, _)) in state.tensors.iter().zip(&params).zip(&buffers) {
        if gpu.software {
            assert_same(&gpu.read(buffer), param, &format!("{case}, {}", tensor.name));
        }
    }
    pollster::block_on(adam.read_state()).unwrap().save(file("ours")).unwrap();
    let data: Vec<Vec<u8>> =
        buffers.iter().map(|(buffer, _)| bytemuck::cast_slice(&gpu.read(buffer)).to_vec()).collect();
    let views = state.tensors.iter().zip(&data).map(|(tensor, data)| {
        (tensor.name.as_str(), TensorView::new(Dtype::F32, vec![tensor.len as usize], data).unwrap())
    });
    safetensors::serialize_to_file(views, None, &file("params")).unwrap();
}
