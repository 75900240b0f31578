//! Changes one token of a shader before it is compiled. The mutation tests add this module to their copy of the crate.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use wgpu::{BindGroupLayout, ComputePipeline, Device};

use crate::gpu::kernel::Kernel;

type Pipeline = (ComputePipeline, BindGroupLayout);

thread_local! {
    static MUTATION: Cell<Option<(&'static str, &'static str)>> = const { Cell::new(None) };
    static APPLIED: Cell<bool> = const { Cell::new(false) };
}

/// The pipelines with unchanged sources, for each device of the tests. The devices differ in this limit. Devices of different
/// instances may compare as equal.
static UNCHANGED: LazyLock<Mutex<HashMap<(Kernel, u64), Pipeline>>> = LazyLock::new(Mutex::default);

/// Runs a function while the first `from` in the source of each shader is replaced by `to`. Also returns whether any
/// shader contained it.
pub fn with<T>(from: &'static str, to: &'static str, run: impl FnOnce() -> T) -> (T, bool) {
    MUTATION.set(Some((from, to)));
    APPLIED.set(false);
    let result = run();
    MUTATION.set(None);
    (result, APPLIED.get())
}

/// Returns the source to compile instead of the shader's own.
pub(crate) fn mutated(source: String) -> String {
    match MUTATION.get() {
        Some((from, to)) if source.contains(from) => {
            APPLIED.set(true);
            source.replacen(from, to, 1)
        }
        _ => source,
    }
}

/// Returns the pipeline of a kernel. A pipeline with an unchanged source is cached.
pub(crate) fn build(kernel: Kernel, device: &Device) -> Pipeline {
    if MUTATION.get().is_some_and(|(from, _)| kernel.wgsl().contains(from)) {
        return kernel.build(device);
    }
    let key = (kernel, device.limits().max_storage_buffer_binding_size);
    let kept = UNCHANGED.lock().unwrap().get(&key).cloned();
    kept.unwrap_or_else(|| {
        let pipeline = kernel.build(device);
        UNCHANGED.lock().unwrap().insert(key, pipeline.clone());
        pipeline
    })
}
