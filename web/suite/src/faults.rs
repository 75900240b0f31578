//! Faults of the device. In a browser, a device reports an error some time after the call. Some faults are faked by
//! `static/watch.js`.

use js_sys::Reflect;

use crate::scene::{Gpu, Run, Scene};
use wgpu::{BufferDescriptor, BufferUsages, ErrorFilter};
use wgpu_adam::{Adam, Clip, Config, Dtype, Error, Group, Options, Probe, State, Tensor, View};

/// The next error scope of the kind that is closed has an error: `out-of-memory` or `validation`.
fn fake(kind: &str) {
    Reflect::set(&js_sys::global(), &"fake".into(), &kind.into()).unwrap();
}

/// Whether the faked error was found by a scope.
fn found() -> bool {
    Reflect::get(&js_sys::global(), &"fake".into()).unwrap().is_falsy()
}

async fn start(gpu: &Gpu) -> Run {
    let options = Options { clip: Clip::GlobalNorm(1.0), ..Options::default() };
    let mut run = gpu.start(&Scene::arena(&[40, 300], 4, &[Config::default()], options)).await;
    run.steps(gpu, 2);
    run
}

fn tensor(gpu: &Gpu, name: &str) -> Tensor {
    Tensor::f32(name, &gpu.buffer(&[1.0; 8]), &gpu.buffer(&[1.0; 8]))
}

pub async fn an_error_that_arrives_later_is_returned(gpu: &Gpu) {
    let mut run = start(gpu).await;
    let state = gpu.state(&run.adam).await;
    let group = [Group::new(Config::default(), vec![tensor(gpu, "w")])];
    for kind in ["out-of-memory", "validation"] {
        let is = |error: Option<Error>, what: &str| {
            let error = error.unwrap_or_else(|| panic!("{what}: no error for {kind}"));
            assert!(found());
            let kinds = match &error {
                Error::OutOfMemory { .. } => kind == "out-of-memory",
                Error::Device { reason, .. } | Error::Readback { reason, .. } => {
                    kind == "validation" && reason.contains("faked")
                }
                _ => false,
            };
            assert!(kinds, "{what}: {error:?} for {kind}");
        };
        fake(kind);
        is(Adam::new_async(&gpu.device, &gpu.queue, &group, Options::default()).await.err(), "new_async");
        fake(kind);
        is(Probe::new_async(&run.adam).await.err(), "the probe");
        fake(kind);
        is(run.adam.read_report().await.err(), "read_report");
        fake(kind);
        is(run.adam.read_state().await.err(), "read_state");
        fake(kind);
        is(run.adam.read_tensor_state("tensor0").await.err(), "read_tensor_state");
        let probe = Probe::new_async(&run.adam).await.unwrap();
        fake(kind);
        is(probe.read(&run.adam).await.err(), "the insight");
        fake(kind);
        is(run.adam.load_state(&state).await.err(), "load_state");
        assert!(gpu.state(&run.adam).await == state);
        run.steps(gpu, 1);
        gpu.assert_same(&run).await;
        run.adam.load_state(&state).await.unwrap();
        run.twin.load_state(&state).unwrap();
    }
}

/// SwiftShader refuses an allocation of 1 GiB, which its limits allow: `m` of a tensor of 2^28 elements in bf16.
pub async fn a_refused_allocation_is_out_of_memory(_: &Gpu) {
    let gpu = &Gpu::asking(|adapter| adapter).await;
    let mut run = start(gpu).await;
    let size = gpu.device.limits().max_buffer_size / 2;
    let descriptor = BufferDescriptor { label: None, size, usage: BufferUsages::STORAGE, mapped_at_creation: false };
    let buffers = [(); 2].map(|()| gpu.device.create_buffer(&descriptor));
    let tensor = || Tensor::new("large", View::new(&buffers[0], Dtype::Bf16), View::new(&buffers[1], Dtype::Bf16));
    let group = [Group::new(Config::default(), vec![tensor()])];
    for error in [
        Adam::new_async(&gpu.device, &gpu.queue, &group, Options::default()).await.err(),
        run.adam.checked(|adam| adam.add(0, [tensor()])).await.err(),
    ] {
        assert!(matches!(error, Some(Error::OutOfMemory { .. })), "{error:?}");
    }
    run.steps(gpu, 2);
    gpu.assert_same(&run).await;
    gpu.device.destroy();
}

pub async fn a_change_that_fails_later_is_taken_back(gpu: &Gpu) {
    let mut run = start(gpu).await;
    for kind in ["out-of-memory", "validation"] {
        let state = gpu.state(&run.adam).await;
        let new = tensor(gpu, "new");
        fake(kind);
        let change = |adam: &mut Adam| {
            adam.set_lr(0, 0.5)?;
            adam.set_active(&["tensor1"], false)?;
            adam.add(0, [new])
        };
        let error = run.adam.checked(change).await.unwrap_err();
        assert!(found());
        assert_eq!(matches!(error, Error::OutOfMemory { .. }), kind == "out-of-memory", "{error:?}");
        assert_eq!((gpu.state(&run.adam).await, run.adam.tensor_names().len()), (state, 2));
        run.steps(gpu, 2);
        gpu.assert_same(&run).await;
    }
    // An error of the change itself.
    let error = run.adam.checked(|adam| adam.remove(&["none"])).await.unwrap_err();
    assert_eq!(error.to_string(), "tensor `none` does not exist");
}

pub async fn an_unchecked_error_reaches_the_scope_of_the_caller(gpu: &Gpu) {
    let mut run = start(gpu).await;
    let destroyed = gpu.buffer(&[1.0; 8]);
    destroyed.destroy();
    let scope = gpu.device.push_error_scope(ErrorFilter::Validation);
    run.adam.add(0, [Tensor::f32("new", &gpu.buffer(&[1.0; 8]), &destroyed)]).unwrap();
    gpu.step(&run.adam);
    let error = scope.pop().await.expect("an error").to_string();
    assert!(error.contains("destroyed"), "{error}");
}

/// A browser binds a destroyed buffer, and refuses the submission.
pub async fn a_destroyed_buffer_leaves_the_state_intact(gpu: &Gpu) {
    let run = start(gpu).await;
    let (state, report) = (gpu.state(&run.adam).await, gpu.report(&run.adam).await);
    run.grad_buffers[0].destroy();
    let scope = gpu.device.push_error_scope(ErrorFilter::Validation);
    gpu.step(&run.adam);
    let error = scope.pop().await.expect("an error").to_string();
    assert!(error.contains("destroyed"), "{error}");
    assert_eq!((gpu.state(&run.adam).await, gpu.report(&run.adam).await), (state, report));
}

pub async fn a_lost_device_is_an_error(gpu: &Gpu) {
    let mut run = start(gpu).await;
    let bytes = gpu.state(&run.adam).await.to_bytes().unwrap();
    let state = State::from_bytes(&bytes).unwrap();
    let probe = Probe::new_async(&run.adam).await.unwrap();
    let (group, new) = ([Group::new(Config::default(), vec![tensor(gpu, "w")])], tensor(gpu, "new"));
    let waiting = run.adam.read_state();
    gpu.device.destroy();
    // What was asked for before may have arrived.
    let _ = waiting.await;
    gpu.step(&run.adam);
    for (what, error) in [
        ("new_async", Adam::new_async(&gpu.device, &gpu.queue, &group, Options::default()).await.err()),
        ("read_report", run.adam.read_report().await.err()),
        ("read_state", run.adam.read_state().await.err()),
        ("the insight", probe.read(&run.adam).await.err()),
        ("load_state", run.adam.load_state(&state).await.err()),
        ("checked", run.adam.checked(|adam| adam.add(0, [new])).await.err()),
        ("the probe", Probe::new_async(&run.adam).await.err()),
    ] {
        assert!(matches!(error, Some(Error::Device { .. } | Error::Readback { .. })), "{what}: {error:?}");
    }
    // The run goes on with another device.
    let other = Gpu::new().await;
    let mut resumed = other.start(&run.scene).await;
    (resumed.params, resumed.steps, resumed.twin) = (run.params, run.steps, run.twin);
    for (buffer, params) in resumed.param_buffers.iter().zip(&resumed.params) {
        other.write(buffer, params);
    }
    resumed.adam.load_state(&state).await.unwrap();
    resumed.steps(&other, 3);
    other.assert_same(&resumed).await;
}
