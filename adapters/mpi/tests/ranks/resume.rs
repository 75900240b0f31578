//! A run that is saved on some ranks resumes on others, exactly.

use mpi::topology::{Color, SimpleCommunicator};
use mpi::traits::Communicator;
use wgpu_adam::precision::StateDtype;
use wgpu_adam::{Clip, Precision, State};
use wgpu_adam_mpi::{Error, Options, Reduction, merge};

use crate::Test;
use crate::scene::{LENS, Params, Run, Scene, integers, sum};

pub const TESTS: &[Test] = &[
    ("a run resumes on any number of ranks", any_number_of_ranks),
    ("the states of all ranks can be merged", merged),
    ("a state that does not fit is refused", does_not_fit),
];

fn scene() -> Scene {
    let precision = Precision { state: StateDtype::Block8, state_min_len: 1, ..Precision::default() };
    let adam = wgpu_adam::Options { clip: Clip::GlobalNorm(0.7), precision, ..Default::default() };
    Scene::new(Options { adam, reduction: Reduction::Sum, ..Options::default() })
}

/// The state on all ranks, as a file that all read.
fn everywhere(run: &Run, scene: &Scene, steps: usize, ranks: usize) -> State {
    // One optimizer with whole tensors has it too, so that no file is needed.
    let (mut whole, mut params) = (scene.whole(), Params::of(scene));
    for step in 0..steps {
        let mut total = sum(ranks, |rank| integers(rank, step));
        params.with(&mut total, |tensors| whole.step(tensors)).unwrap();
    }
    let mut want = whole.state();
    want.options.share_norm = true;
    if let Some(state) = run.gather_state() {
        let bytes = state.to_bytes().unwrap();
        assert!(State::from_bytes(&bytes).unwrap() == want);
    }
    want
}

fn any_number_of_ranks(world: &SimpleCommunicator) {
    let (ranks, own) = (world.size() as usize, world.rank() as usize);
    for gpu in [true, false] {
        let scene = scene();
        let mut run = Run::start(world, &scene, gpu).unwrap();
        for step in 0..3 {
            run.step(integers(own, step)).unwrap();
        }
        let state = everywhere(&run, &scene, 3, ranks);
        let begun = run.params();
        run.step(integers(own, 3)).unwrap();
        for fewer in 1..ranks {
            let color = if own < fewer { Color::with_value(0) } else { Color::undefined() };
            let Some(some) = world.split_by_color(color) else { continue };
            // The same gradients on fewer ranks: the first rank has those of all others too.
            let grads = match own {
                0 => sum(ranks - fewer + 1, |rank| integers(if rank == 0 { 0 } else { rank + fewer - 1 }, 3)),
                _ => integers(own, 3),
            };
            let mut resumed = Run::start(&some, &scene, gpu).unwrap();
            resumed.load_state(&state).unwrap();
            resumed.set_params(&begun);
            resumed.step(grads).unwrap();
            assert!(resumed.params() == run.params(), "on {fewer} ranks");
            assert_eq!(resumed.report().t, 4);
        }
    }
}

fn merged(world: &SimpleCommunicator) {
    if world.rank() > 0 {
        return;
    }
    // Two optimizers with the halves of a tensor of 4 blocks.
    let adam = |len| {
        let group = wgpu_adam::cpu::Group::new(Default::default(), vec![wgpu_adam::cpu::Tensor::new("w", len)]);
        wgpu_adam::cpu::Adam::new(&[group], Default::default()).unwrap()
    };
    let step = |adam: &mut wgpu_adam::cpu::Adam, mut g: Vec<f32>| {
        adam.step(&mut [wgpu_adam::cpu::TensorMut::new(&mut vec![0.0; g.len()], &mut g)]).unwrap();
    };
    let grads: Vec<f32> = (0..1000).map(|e| e as f32).collect();
    let (mut first, mut second, mut whole) = (adam(512), adam(488), adam(1000));
    step(&mut first, grads[..512].to_vec());
    step(&mut second, grads[512..].to_vec());
    step(&mut whole, grads);
    assert!(merge(&[first.state(), second.state()], ["w"].into_iter()).unwrap() == whole.state());
    step(&mut second, vec![1.0; 488]);
    let error = merge(&[first.state(), second.state()], ["w"].into_iter()).unwrap_err();
    let want = "tensor `w`: rank 1 has 2 and 0 applied and skipped steps, but rank 0 has 1 and 0";
    assert_eq!(error.to_string(), want);
}

fn does_not_fit(world: &SimpleCommunicator) {
    let scene = scene();
    let mut run = Run::start(world, &scene, false).unwrap();
    let mut state = scene.whole().state();
    state.tensors[2].len += 1;
    let error = run.load_state(&state).unwrap_err();
    assert!(
        error.to_string().contains("tensor `tensor2`: the state has 301 elements, but the optimizer has 300"),
        "{error}"
    );
    let mut state = scene.whole().state();
    let missing = state.tensors.pop().unwrap();
    assert_eq!(missing.len as usize, LENS[3]);
    assert!(run.load_state(&state).unwrap_err().to_string().contains("tensor3"));
    // Ranks with different states.
    let mut state = scene.whole().state();
    state.t += u32::from(world.rank() == 1);
    let result = run.load_state(&state);
    if world.size() > 1 {
        assert!(matches!(result, Err(Error::Differs { rank: 1, .. })), "{result:?}");
    }
}
