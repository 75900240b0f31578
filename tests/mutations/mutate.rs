//! Changes one token of a shader before it is compiled. The mutation tests have this module in their copy of the crate.

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

/// Those with unchanged sources, of the one device that the tests have.
static UNCHANGED: LazyLock<Mutex<HashMap<Kernel, Pipeline>>> = LazyLock::new(Mutex::default);

/// Runs something while the first `from` in the source of each shader is `to`. Says too whether any shader had it.
pub fn with<T>(from: &'static str, to: &'static str, run: impl FnOnce() -> T) -> (T, bool) {
    MUTATION.set(Some((from, to)));
    APPLIED.set(false);
    let result = run();
    MUTATION.set(None);
    (result, APPLIED.get())
}

/// The source that is compiled in the place of a shader's.
pub(crate) fn mutated(source: String) -> String {
    match MUTATION.get() {
        Some((from, to)) if source.contains(from) => {
            APPLIED.set(true);
            source.replacen(from, to, 1)
        }
        _ => source,
    }
}

/// The pipeline of a kernel. It is kept for the next time if the source is unchanged.
pub(crate) fn build(kernel: Kernel, device: &Device) -> Pipeline {
    if MUTATION.get().is_some_and(|(from, _)| kernel.wgsl().contains(from)) {
        return kernel.build(device);
    }
    let kept = UNCHANGED.lock().unwrap().get(&kernel).cloned();
    kept.unwrap_or_else(|| {
        let pipeline = kernel.build(device);
        UNCHANGED.lock().unwrap().insert(kernel, pipeline.clone());
        pipeline
    })
}
