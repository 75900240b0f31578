//! Chooses the GPU of an example and sets up its log. Environment variables control both.

use wgpu::{Adapter, DeviceType, Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};

/// Logs errors to the terminal. wgpu's EGL backend reports an error on every machine without a display, although
/// nothing is wrong there, so it is silenced unless `RUST_LOG` is set.
pub fn log() {
    let filter = env_logger::Env::default().default_filter_or("error,wgpu_hal::gles=off");
    env_logger::Builder::from_env(filter).init();
}

/// Returns the adapter whose name contains `WGPU_ADAPTER_NAME`. If that variable is not set, returns the adapter that
/// wgpu prefers: the fastest one, unless `WGPU_POWER_PREF` is `low`. `WGPU_BACKEND` limits the choice.
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
        format!("WGPU_ADAPTER_NAME is `{wanted}`, but no adapter has that in its name. Found: {names}")
    })
}

/// Returns the adapter's name and backend, and says if it is a software adapter.
pub fn describe(adapter: &Adapter) -> String {
    let info = adapter.get_info();
    let software = if info.device_type == DeviceType::Cpu { "; a software adapter, not a GPU" } else { "" };
    format!("{} ({}{software})", info.name, info.backend)
}
