//! Faults of the device: out of memory, a destroyed buffer, a lost device. Each must become an error of this crate. The
//! handler of uncaptured errors, which panics, must never run.

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::child;
use crate::scene::{Gpu, Scene};
use wgpu::util::initialize_adapter_from_env_or_default;
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, Device, DeviceDescriptor, DeviceLostReason, Instance, InstanceDescriptor,
    PollType,
};
use wgpu_adam::state::Transfer;
use wgpu_adam::{Adam, Clip, Config, Error, Group, Options, Probe, State, Tensor};

fn group(param: &Buffer, grad: &Buffer) -> Vec<Group> {
    vec![Group::new(Config::default(), vec![Tensor::f32("w", param, grad)])]
}

#[test]
fn a_destroyed_buffer_is_an_error() {
    let gpu = Gpu::new();
    let (param, grad) = (gpu.buffer(&[1.0; 64]), gpu.buffer(&[1.0; 64]));
    let named = |error: Error| {
        let want = "tensor `w`: the device cannot bind the buffer of its grad view: ";
        assert!(matches!(&error, Error::Buffer { view: "grad", .. }), "{error:?}");
        assert!(error.to_string().starts_with(want) && error.to_string().contains("destroyed"), "{error}");
    };
    let mut adam =
        pollster::block_on(Adam::new_async(&gpu.device, &gpu.queue, &group(&param, &grad), Options::default()))
            .unwrap();
    gpu.step(&adam);
    let before = gpu.state(&adam);
    assert!(pollster::block_on(Probe::new_async(&adam)).is_ok());
    grad.destroy();
    named(Probe::new(&adam).err().unwrap());
    named(pollster::block_on(Probe::new_async(&adam)).err().unwrap());
    named(Adam::new(&gpu.device, &gpu.queue, &group(&param, &grad), Options::default()).err().unwrap());
    let created =
        pollster::block_on(Adam::new_async(&gpu.device, &gpu.queue, &group(&param, &grad), Options::default()));
    named(created.err().unwrap());
    // An optimizer that was made before is unchanged.
    named(adam.reset(&["w"]).unwrap_err());
    assert_eq!(gpu.state(&adam), before);
}

#[test]
fn buffers_of_another_device_are_refused() {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = pollster::block_on(initialize_adapter_from_env_or_default(&instance, None)).unwrap();
    let [(device, queue), (other, _)] =
        [(); 2].map(|()| pollster::block_on(adapter.request_device(&DeviceDescriptor::default())).unwrap());
    let buffer = |device: &Device, label| {
        let (label, usage) = (Some(label), BufferUsages::STORAGE);
        device.create_buffer(&BufferDescriptor { label, size: 256, usage, mapped_at_creation: false })
    };
    let (param, grad) = (buffer(&device, "param"), buffer(&device, "grad"));
    let groups = |param, grad| group(&buffer(param, "param"), &buffer(grad, "grad"));
    let refused = |error: Option<Error>, view: &str| {
        let error = error.expect("an error").to_string();
        assert!(error.contains(&format!("the device cannot bind the buffer of its {view} view")), "{error}");
        assert!(error.contains(&format!("Buffer with '{view}' label doesn't match Device")), "{error}");
    };
    for (groups, named) in [(groups(&device, &other), "grad"), (groups(&other, &device), "param")] {
        refused(Adam::new(&device, &queue, &groups, Options::default()).err(), named);
        refused(pollster::block_on(Adam::new_async(&device, &queue, &groups, Options::default())).err(), named);
    }
    let mut adam = Adam::new(&device, &queue, &group(&param, &grad), Options::default()).unwrap();
    let foreign = Tensor::f32("foreign", &buffer(&other, "param"), &buffer(&device, "grad"));
    refused(adam.add(0, [foreign]).err(), "param");
    assert_eq!(pollster::block_on(adam.read_report()).unwrap().t, 0);
}

/// The step is recorded, and the caller's submission fails. The state is unchanged, and the run continues without that
/// tensor.
#[test]
fn a_buffer_destroyed_before_the_step_leaves_the_state_intact() {
    let gpu = Gpu::new();
    for destroyed in 0..4 {
        let options = Options { skip_nonfinite: true, ..Options::default() };
        let mut run = Scene::scattered(&[64, 1000], &[Config::default()], options).start(&gpu);
        run.steps(&gpu, 3);
        let before = (gpu.state(&run.adam), gpu.report(&run.adam));
        let (tensor, buffers) = (destroyed % 2, if destroyed < 2 { &run.param_buffers } else { &run.grad_buffers });
        buffers[tensor].destroy();
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        gpu.step(&run.adam);
        let error = pollster::block_on(scope.pop()).expect("an error").to_string();
        assert!(error.contains("destroyed"), "{error}");
        let probe = Probe::new(&run.adam).expect_err("an error");
        assert!(matches!(probe, Error::Buffer { .. }), "{probe}");
        assert_eq!((gpu.state(&run.adam), gpu.report(&run.adam)), before);
        run.adam.remove(&[&format!("tensor{tensor}")]).unwrap();
        gpu.step(&run.adam);
        assert_eq!(gpu.report(&run.adam).t, 4);
    }
}

/// The test runs itself in another process, which then runs out of memory. Its address space is limited, and a software
/// driver allocates device memory there.
#[test]
#[cfg(target_os = "linux")]
fn out_of_memory_is_an_error_and_loses_nothing() {
    const CHILD: &str = "WGPU_ADAM_TEST_MEMORY";
    let gpu = Gpu::new();
    if !gpu.software || gpu.backend == wgpu::Backend::Gl {
        println!("skipped: only a software driver allocates in this process, and GL reports no out-of-memory errors");
        return;
    }
    if std::env::var(CHILD).is_err() {
        let child = child::test(out_of_memory_is_an_error_and_loses_nothing).env(CHILD, "1").output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        return;
    }
    const MIB: u64 = 1 << 20;
    let buffer = || {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let descriptor = BufferDescriptor { label: None, size: 100 * MIB, usage, mapped_at_creation: false };
        gpu.device.create_buffer(&descriptor)
    };
    let (param, grad, small_param, small_grad) = (buffer(), buffer(), gpu.buffer(&[1.0; 64]), gpu.buffer(&[1.0; 64]));
    let mut adam = Adam::new(&gpu.device, &gpu.queue, &group(&small_param, &small_grad), Options::default()).unwrap();
    gpu.step(&adam);
    let before = gpu.state(&adam);
    // Two moments of 100 MiB exceed the limit, even if the driver has some memory in reserve.
    limit_memory(Some(64 * MIB));
    let large = Tensor::f32("large", &param, &grad);
    let error = Adam::new(&gpu.device, &gpu.queue, &group(&param, &grad), Options::default()).err();
    let added = adam.add(0, [large.clone()]);
    limit_memory(None);
    assert!(matches!(error, Some(Error::OutOfMemory { what: "making the optimizer", .. })), "{error:?}");
    assert!(matches!(added, Err(Error::OutOfMemory { what: "changing the tensors", .. })), "{added:?}");
    assert_eq!(gpu.state(&adam), before);
    // Without the limit these calls succeed. But a staging buffer that is too large is still an error.
    adam.add(0, [large]).unwrap();
    gpu.step(&adam);
    limit_memory(Some(64 * MIB));
    let error = pollster::block_on(adam.read_state_with(Transfer::default().with_staging_bytes(180 * MIB))).err();
    let report = gpu.report(&adam);
    limit_memory(None);
    assert!(matches!(error, Some(Error::OutOfMemory { what: "reading the state", .. })), "{error:?}");
    assert_eq!(report.t, 2);
    let state = gpu.state(&adam);
    limit_memory(Some(64 * MIB));
    let staging = Transfer::default().with_staging_bytes(180 * MIB);
    let error = pollster::block_on(adam.load_state_with(&state, staging)).err();
    limit_memory(None);
    assert!(matches!(error, Some(Error::OutOfMemory { what: "loading the state", .. })), "{error:?}");
    assert!(gpu.state(&adam) == state, "the error changed the state");
}

/// Limits the address space of this process to its current size plus `more` bytes. `None` removes the limit.
#[cfg(target_os = "linux")]
fn limit_memory(more: Option<u64>) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let now = pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
    let soft = more.map_or("unlimited".to_owned(), |more| (now + more).to_string());
    let limited = Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), format!("--as={soft}:")])
        .status()
        .unwrap();
    assert!(limited.success());
}

#[test]
fn a_lost_device_is_an_error_and_the_run_resumes_on_another() {
    let gpu = Gpu::new();
    let mut run = Scene::arena(&[300, 17, 1001], 1, &[Config::default()], Options::default()).start(&gpu);
    run.steps(&gpu, 20);
    let saved = gpu.state(&run.adam).to_bytes().unwrap();
    let (params, t) = (run.params.clone(), run.steps);
    let probe = Probe::new(&run.adam).unwrap();
    // The device is kept busy, so that the reads below are still pending when it is lost.
    let busy = Scene::scattered(&[1 << 20], &[Config::default()], Options::default()).start(&gpu);
    gpu.steps(&busy.adam, 100);
    // A read that was requested before the loss either succeeds or returns an error, whether it was polled before or
    // not.
    let mut polled = pin!(run.adam.read_report());
    let first = polled.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let in_flight = run.adam.read_report();
    let state_in_flight = run.adam.read_state();
    let in_pieces = run.adam.read_state_with(Transfer::default().with_staging_bytes(400));
    let insight_in_flight = probe.read(&run.adam);
    let lost = Arc::new(Mutex::new(None));
    gpu.device.set_device_lost_callback({
        let lost = lost.clone();
        move |reason, _| *lost.lock().unwrap() = Some(reason)
    });
    gpu.device.destroy();

    // Nothing panics. A call that returns a result returns an error.
    run.adam.set_t(7).unwrap();
    run.adam.set_lr(0, 0.5).unwrap();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    run.adam.step(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    let arrived = |t: Result<u32, Error>| match t {
        Ok(t) => assert_eq!(t, 20, "arrived"),
        Err(error @ (Error::Readback { .. } | Error::Device { .. })) => println!("{error}"),
        Err(other) => panic!("{other:?}"),
    };
    println!("waiting: {}", first.is_pending());
    let polled = if let Poll::Ready(done) = first { done } else { pollster::block_on(polled) };
    arrived(polled.map(|report| report.t));
    arrived(pollster::block_on(in_flight).map(|report| report.t));
    arrived(pollster::block_on(state_in_flight).map(|state| state.t));
    arrived(pollster::block_on(insight_in_flight).map(|insight| insight.t));
    let error = |error: Option<Error>| error.expect("an error").to_string();
    let state = State::from_bytes(&saved).unwrap();
    let again = group(&run.param_buffers[0], &run.grad_buffers[0]);
    for (error, want) in [
        // At most the first piece can have arrived.
        (error(pollster::block_on(in_pieces).err()), "reading back the state failed: "),
        (error(pollster::block_on(probe.read(&run.adam)).err()), "reading back the insight failed: "),
        (error(Probe::new(&run.adam).err()), "filling a buffer: "),
        (error(pollster::block_on(run.adam.read_report()).err()), "reading back the report failed: "),
        (error(pollster::block_on(run.adam.read_state()).err()), "reading back the state failed: "),
        (error(pollster::block_on(run.adam.load_state(&state)).err()), "loading the state: "),
        (error(run.adam.reset(&["tensor0"]).err()), "filling a buffer: "),
        (error(Adam::new(&gpu.device, &gpu.queue, &again, Options::default()).err()), "filling a buffer: "),
    ] {
        assert!(error.starts_with(want), "{error}");
    }
    // The callback runs after the device has finished its earlier work.
    for _ in 0..1000 {
        gpu.device.poll(PollType::Poll).unwrap();
        if lost.lock().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(*lost.lock().unwrap(), Some(DeviceLostReason::Destroyed));

    let other = Gpu::new();
    let mut resumed = run.scene.start(&other);
    resumed.params = params;
    for (buffer, params) in resumed.param_buffers.iter().zip(&resumed.params) {
        other.write(buffer, params);
    }
    resumed.steps = t;
    pollster::block_on(resumed.adam.load_state(&state)).unwrap();
    run.twin.set_lr(0, Config::default().lr).unwrap();
    resumed.twin = run.twin;
    resumed.steps(&other, 20);
    resumed.assert_same(&other);
}

/// `checked` is the asynchronous form of every change. A failed change is taken back whole.
#[test]
fn a_checked_change_is_taken_back_if_it_fails() {
    let gpu = Gpu::new();
    let options = Options { clip: Clip::GlobalNorm(1.0), ..Options::default() };
    let mut run = Scene::arena(&[40, 300], 4, &[Config::default()], options).start(&gpu);
    run.steps(&gpu, 2);
    let other = gpu.buffer(&[1.0; 8]);
    let destroyed = gpu.buffer(&[1.0; 8]);
    destroyed.destroy();
    let grow = |adam: &mut Adam, grad: &wgpu::Buffer| {
        adam.set_lr(0, 0.5)?;
        adam.set_active(&["tensor1"], false)?;
        adam.add(0, [Tensor::f32("new", &other, grad)])
    };
    let state = gpu.state(&run.adam);
    let error = pollster::block_on(run.adam.checked(|adam| grow(adam, &destroyed))).unwrap_err();
    assert!(
        error.to_string().starts_with("tensor `new`: the device cannot bind the buffer of its grad view"),
        "{error}"
    );
    assert_eq!((gpu.state(&run.adam), run.adam.groups()[0].config.lr), (state, 1e-3));
    assert_eq!(run.adam.tensor_names().len(), 2);
    run.steps(&gpu, 2);
    run.assert_same(&gpu);
    let grad = gpu.buffer(&[1.0; 8]);
    pollster::block_on(run.adam.checked(|adam| grow(adam, &grad))).unwrap();
    assert_eq!((run.adam.tensor_names().len(), run.adam.groups()[0].config.lr), (3, 0.5));
    let number = pollster::block_on(run.adam.checked(|adam| adam.add_group(Group::default()))).unwrap();
    assert_eq!(number, 1);
}
