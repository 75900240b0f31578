//! Replicas are equal bit for bit, two runs too, and ranks do what one optimizer does.

use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::{Clip, Dtype, GroupClip, LossScale, Precision};
use wgpu_adam_mpi::{Options, Reduction, Wire};

use crate::Test;
use crate::scene::{Params, Run, Scene, floats, integers, sum};

pub const TESTS: &[Test] = &[
    ("replicas and two runs are equal bit for bit", replicas_and_two_runs),
    ("gpu and cpu are equal bit for bit", gpu_and_cpu),
    ("integer gradients give the bits of one optimizer with whole tensors", one_optimizer),
    ("a NaN on one rank skips the step on all", a_nan_on_one_rank),
    ("gradients in 16 bits on the wire", on_the_wire),
    ("the mean of the gradients", the_mean),
];

fn clipped() -> wgpu_adam::Options {
    wgpu_adam::Options { clip: Clip::GlobalNorm(0.7), skip_nonfinite: true, ..Default::default() }
}

fn small_pieces(adam: wgpu_adam::Options) -> Options {
    Options { adam, piece: Some(1), reduction: Reduction::Sum, ..Options::default() }
}

/// The parameters must be those of rank 0.
fn assert_replicas(world: &SimpleCommunicator, run: &Run) {
    let own = run.params().concat();
    let mut all = vec![0; own.len() * world.size() as usize];
    world.all_gather_into(&own[..], &mut all[..]);
    for (rank, params) in all.chunks(own.len()).enumerate() {
        assert!(params == &all[..own.len()], "the parameters of rank {rank} are not those of rank 0");
    }
}

fn replicas_and_two_runs(world: &SimpleCommunicator) {
    for (gpu, wire) in [(true, Wire::F32), (true, Wire::Bf16), (false, Wire::F32), (false, Wire::F16)] {
        let scene = Scene::new(Options { wire, ..small_pieces(clipped()) });
        let train = || {
            let mut run = Run::start(world, &scene, gpu).unwrap();
            for step in 0..4 {
                run.step(floats(world.rank() as usize, step)).unwrap();
                assert_replicas(world, &run);
            }
            (run.params(), run.gather_state())
        };
        assert!(train() == train(), "{wire:?}");
    }
}

fn gpu_and_cpu(world: &SimpleCommunicator) {
    let scene = Scene::new(Options { adam: clipped(), ..Options::default() });
    let [mut gpu, mut cpu] = [true, false].map(|gpu| Run::start(world, &scene, gpu).unwrap());
    for step in 0..4 {
        for run in [&mut gpu, &mut cpu] {
            run.step(floats(world.rank() as usize, step)).unwrap();
        }
        assert!(gpu.params() == cpu.params());
        assert_eq!(gpu.report(), cpu.report());
    }
    assert_eq!(gpu.gather_state(), cpu.gather_state());
}

fn one_optimizer(world: &SimpleCommunicator) {
    let ranks = world.size() as usize;
    let precision = |state, master| Precision { state, master, state_min_len: 1, ..Precision::default() };
    let plain = (Dtype::F32, precision(StateDtype::F32, Master::None));
    let narrow = (Dtype::Bf16, precision(StateDtype::Block8, Master::F32));
    let remainder = (Dtype::Bf16, precision(StateDtype::Bf16, Master::Remainder));
    for gpu in [true, false] {
        for (i, (param, precision)) in [&plain, &narrow, &remainder].into_iter().cloned().enumerate() {
            let loss_scale = (i == 1).then(LossScale::default);
            let adam = wgpu_adam::Options { precision, loss_scale, zero_grad: i != 2, ..clipped() };
            let clip = (i == 0).then_some(GroupClip::Group(0.5));
            let scene = Scene { clip, param, ..Scene::new(small_pieces(adam)) };
            let mut run = Run::start(world, &scene, gpu).unwrap();
            let (mut whole, mut params) = (scene.whole(), Params::of(&scene));
            for step in 0..5 {
                let zeroed = run.step(integers(world.rank() as usize, step)).unwrap();
                assert_eq!(zeroed.concat().iter().all(|g| *g == 0.0), i != 2);
                let mut total = sum(ranks, |rank| integers(rank, step));
                let want = params.with(&mut total, |tensors| whole.step(tensors)).unwrap();
                assert!(run.params() == params.bytes(), "step {step} of {param:?}");
                let got = run.report();
                assert_eq!((got.t, got.grad_norm, got.clip_coef), (want.t, want.grad_norm, want.clip_coef));
            }
            if let Some(state) = run.gather_state() {
                // The option that ranks share the norm is in the state, for information.
                let mut want = whole.state();
                want.options.share_norm = true;
                assert!(state == want, "the gathered state is not that of one optimizer");
            }
        }
    }
}

fn a_nan_on_one_rank(world: &SimpleCommunicator) {
    let own = world.rank() as usize;
    for gpu in [true, false] {
        let scene = Scene::new(small_pieces(clipped()));
        let mut run = Run::start(world, &scene, gpu).unwrap();
        run.step(integers(own, 0)).unwrap();
        let before = run.params();
        let mut grads = integers(own, 1);
        if own == world.size() as usize - 1 {
            grads[0][5] = f32::NAN;
        }
        run.step(grads).unwrap();
        let report = run.report();
        assert_eq!((report.t, report.skipped, report.last_skipped), (1, 1, true));
        // The element belongs to rank 0.
        assert_eq!(report.nonfinite_tensor.as_deref(), (own == 0).then_some("tensor0"));
        assert!(run.params() == before);
        run.step(integers(own, 2)).unwrap();
        assert_eq!(run.report().t, 2);
        assert_replicas(world, &run);
    }
}

/// Small integers are exact in 16 bits.
fn on_the_wire(world: &SimpleCommunicator) {
    for gpu in [true, false] {
        let [exact, half, brain] = [Wire::F32, Wire::F16, Wire::Bf16].map(|wire| {
            let mut run = Run::start(world, &Scene::new(Options { wire, ..small_pieces(clipped()) }), gpu).unwrap();
            run.step(integers(world.rank() as usize, 0)).unwrap();
            run.params()
        });
        assert!(exact == half && exact == brain);
    }
}

fn the_mean(world: &SimpleCommunicator) {
    let ranks = world.size() as usize;
    for gpu in [true, false] {
        let scene = Scene::new(Options { reduction: Reduction::Mean, ..small_pieces(clipped()) });
        let mut run = Run::start(world, &scene, gpu).unwrap();
        let (mut whole, mut params) = (scene.whole(), Params::of(&scene));
        run.step(integers(world.rank() as usize, 0)).unwrap();
        let mut mean = sum(ranks, |rank| integers(rank, 0));
        mean.iter_mut().flatten().for_each(|g| *g *= 1.0 / ranks as f32);
        params.with(&mut mean, |tensors| whole.step(tensors)).unwrap();
        // The sum of squares is exact only for a power of two.
        if ranks.is_power_of_two() {
            assert!(run.params() == params.bytes());
        }
        let norms = [run.report(), whole.report()].map(|report| report.grad_norm.unwrap());
        assert!((norms[0] / norms[1] - 1.0).abs() < 1e-6, "{norms:?}");
    }
}
