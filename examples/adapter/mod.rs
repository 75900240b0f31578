//! Which GPU the examples take: wgpu's own choice, unless the environment says otherwise.

use wgpu::{Adapter, DeviceType, Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};

/// The adapter whose name contains `WGPU_ADAPTER_NAME`, if that is set; else the one that wgpu prefers, the fastest if
/// `WGPU_POWER_PREF` is not `low`. `WGPU_BACKEND` limits the choice. What is wrong is said in one line.
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
        format!("no GPU has a name with `{wanted}`, as WGPU_ADAPTER_NAME asks for; there are: {names}")
    })
}

/// Its name and backend, and whether it only plays a GPU.
pub fn describe(adapter: &Adapter) -> String {
    let info = adapter.get_info();
    let software = if info.device_type == DeviceType::Cpu { ", a software adapter: no GPU at work" } else { "" };
    format!("{} ({}{software})", info.name, info.backend)
}
