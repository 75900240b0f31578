//! Ranks that differ are refused by name, and an error on one rank is an error on all.

use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Config, GroupClip, Precision, cpu};
use wgpu_adam_mpi::{Error, Options};

use crate::Test;
use crate::scene::{Run, Scene, integers};

pub const TESTS: &[Test] = &[
    ("another configuration, tensor or option is refused by name", another),
    ("an error on one rank is an error on all", an_error_on_one_rank),
    ("what cannot be divided is refused with the reason", cannot_be_divided),
];

fn another(world: &SimpleCommunicator) {
    let last = world.size() - 1;
    if last == 0 {
        return;
    }
    let plain = || Scene::new(Options::default());
    let lr = Scene { configs: [Config::default(), Config { lr: 0.5, ..Config::default() }], ..plain() };
    let clip = Scene { clip: Some(GroupClip::Group(1.0)), ..plain() };
    let wire = Scene::new(Options { wire: wgpu_adam_mpi::Wire::F16, ..Options::default() });
    let param = Scene { param: wgpu_adam::Dtype::Bf16, ..plain() };
    for (other, want) in [
        (lr, "the configuration of group 1"),
        (clip, "the clipping of group 1"),
        (wire, "options.wire: it has F16, but rank 0 has F32"),
        (param, "tensor 0: it has tensor0, 1000 elements, Bf16, but rank 0 has tensor0, 1000 elements, F32"),
    ] {
        for gpu in [true, false] {
            let scene = if world.rank() == last { other.clone() } else { plain() };
            let error = Run::start(world, &scene, gpu).err().expect("it must be refused").to_string();
            let want = format!("rank {last} differs from rank 0 in {want}");
            assert!(error.starts_with(&want), "{error}");
        }
    }
}

/// A rank without memory fails like one with a bad name: its optimizer is not made. Here the last rank is given other slices.
fn an_error_on_one_rank(world: &SimpleCommunicator) {
    let last = world.size() - 1;
    let mut run = Run::start(world, &Scene::new(Options::default()), false).unwrap();
    let before = run.params();
    let mut grads = integers(world.rank() as usize, 0);
    if world.rank() == last {
        grads[1].pop();
    }
    let error = run.step(grads).unwrap_err();
    let reason = "tensor `tensor1`: param and grad have [8, 4] bytes, but need [8, 8]";
    let want = if world.rank() == last { reason.to_owned() } else { format!("rank {last}: {reason}") };
    assert_eq!(error.to_string(), want);
    assert!(run.params() == before);
    // The ranks go on together.
    run.step(integers(world.rank() as usize, 0)).unwrap();
    assert_eq!(run.report().t, 1);
}

fn cannot_be_divided(world: &SimpleCommunicator) {
    let refused = |scene: Scene, want: &str| {
        let error = Run::start(world, &scene, false).err().expect("it must be refused");
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().starts_with(want), "{error}");
    };
    let plain = || Scene::new(Options::default());
    refused(Scene { clip: Some(GroupClip::Tensor(1.0)), ..plain() }, "group 1: clip by GroupClip::Group");
    let lamb = Config { variant: wgpu_adam::Variant::Lamb, ..Config::default() };
    refused(Scene { configs: [lamb, Config::default()], ..plain() }, "group 0: the factor of a step");
    let adam = wgpu_adam::Options { accumulate: Some(2), ..Default::default() };
    refused(Scene::new(Options { adam, ..Options::default() }), "options.adam.accumulate");
    let precision = Precision { state: StateDtype::Bf16, ..Precision::default() };
    let adam = wgpu_adam::Options { precision, ..Default::default() };
    refused(Scene::new(Options { adam, ..Options::default() }), "group 0: narrow moments");
    if world.size() > 1 {
        let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 256)]);
        let error = wgpu_adam_mpi::cpu::Sharded::new(world, &[group], &Options::default()).unwrap_err();
        let want =
            format!("1 blocks of 256 elements cannot be divided among {} ranks: each needs a block", world.size());
        assert_eq!(error.to_string(), want);
    }
}
