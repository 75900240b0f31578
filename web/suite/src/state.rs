//! The state as bytes: from the GPU to the twin and back, and damaged.

use std::cell::RefCell;
use std::rc::Rc;

use crate::scene::{Gpu, Run, Scene};
use wgpu_adam::state::Transfer;
use wgpu_adam::{Config, Options, State};

/// The twin loads the bytes and makes steps alone. Then the GPU loads the twin's bytes and continues.
pub async fn there_and_back(gpu: &Gpu, run: &mut Run) {
    let bytes = gpu.state(&run.adam).await.to_bytes().unwrap();
    let state = State::from_bytes(&bytes).unwrap();
    assert_eq!(state, gpu.state(&run.adam).await);
    run.twin.load_state(&state).unwrap();
    for _ in 0..3 {
        run.fresh_grads();
        run.twin_step();
    }
    let bytes = run.twin.state().to_bytes().unwrap();
    run.adam.load_state(&State::from_bytes(&bytes).unwrap()).await.unwrap();
    assert_eq!(gpu.state(&run.adam).await, run.twin.state());
    for (buffer, params) in run.param_buffers.iter().zip(&run.params) {
        gpu.write(buffer, params);
    }
    run.upload_grads(gpu);
    run.steps(gpu, 3);
    gpu.assert_same(run).await;
}

pub async fn a_state_is_transferred_in_pieces(gpu: &Gpu) {
    let scene = Scene::arena(&[300, 17, 1001], 1, &[Config::default()], Options::default());
    let mut run = gpu.start(&scene).await;
    run.steps(gpu, 3);
    let whole = gpu.state(&run.adam).await;
    for staging in [400, 1 << 20] {
        // A callback need not be `Send` in a browser.
        let calls = Rc::new(RefCell::new(Vec::new()));
        let transfer = || {
            let calls = calls.clone();
            Transfer::default().with_staging_bytes(staging).with_progress(move |done, _| calls.borrow_mut().push(done))
        };
        assert_eq!(run.adam.read_state_with(transfer()).await.unwrap(), whole);
        let read = calls.take();
        let other = gpu.start(&scene).await;
        let mut adam = other.adam;
        adam.load_state_with(&whole, transfer()).await.unwrap();
        assert_eq!(gpu.state(&adam).await, whole);
        for calls in [read, calls.take()] {
            let (calls, total) = (calls.len() as u64, *calls.last().unwrap());
            // Two moments of 1,318 elements.
            assert!(total >= 2 * 4 * 1318 && calls == total.div_ceil(staging), "{calls} calls, {total} bytes");
        }
    }
}

pub async fn damaged_bytes_are_an_error_and_change_nothing(gpu: &Gpu) {
    let scene = Scene::arena(&[300, 17], 1, &[Config::default()], Options::default());
    let mut run = gpu.start(&scene).await;
    run.steps(gpu, 3);
    let state = gpu.state(&run.adam).await;
    let bytes = state.to_bytes().unwrap();
    for len in (0..bytes.len()).step_by(41) {
        assert!(State::from_bytes(&bytes[..len]).is_err(), "the first {len} bytes");
    }
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        match State::from_bytes(&damaged) {
            Ok(read) => assert!(read == state, "byte {at}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let mut other = state.clone();
    other.tensors[1].name = "other".into();
    let error = run.adam.load_state(&other).await.unwrap_err();
    assert_eq!(error.to_string(), "tensor `tensor1` is not in the state");
    assert_eq!(gpu.state(&run.adam).await, state);
}
