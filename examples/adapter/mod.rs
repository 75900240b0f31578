//! The GPU that an example takes, and what it logs. The environment can change both.

use wgpu::{Adapter, DeviceType, Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};

/// Logs errors to the terminal. wgpu's EGL backend reports one on every machine without a display, where it means nothing:
/// it is silent unless `RUST_LOG` is set.
pub fn log() {
    let filter = env_logger::Env::default().default_filter_or("error,wgpu_hal::gles=off");
    env_logger::Builder::from_env(filter).init();
}

/// Returns the adapter whose name contains `WGPU_ADAPTER_NAME`, if that is set; otherwise the one that wgpu prefers: the
/// fastest, unless `WGPU_POWER_PREF` is `low`. `WGPU_BACKEND` limits the choice.
pub fn choose() -> Result<Adapter, String> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
    let Ok(wanted) = std::env::var("WGPU_ADAPTER_NAME") else {
        let power_preference = PowerPreference::from_env().unwrap_or(PowerPreference::HighPerformance);
        let options = RequestAdapterOptions { power_preference, ..Default::default() };
        return pollster::block_on(instance.request_adapter(&options)).map_err(|_| "no GPU was found".to_owned());
    };
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let names: Vec<String> = adapters.iter().map(describe).collect();
    let fits = |name: &String| name.to_lowercase().contains(&wanted.to_lowercase());
    let place = names.iter().position(fits);
    place.and_then(|at| adapters.into_iter().nth(at)).ok_or_else(|| {
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("no GPU's name contains `{wanted}`, which WGPU_ADAPTER_NAME asks for. Found: {names}")
    })
}

/// An adapter's name and backend, and whether it is a software adapter.
pub fn describe(adapter: &Adapter) -> String {
    let info = adapter.get_info();
    let software = if info.device_type == DeviceType::Cpu { "; a software adapter, not a GPU" } else { "" };
    format!("{} ({}{software})", info.name, info.backend)
}
