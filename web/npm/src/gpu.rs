//! The device. wgpu takes no device of JavaScript, so it is made here and handed out.

use std::str::FromStr;

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};
use wgpu::{
    Device, DeviceDescriptor, Error, ErrorFilter, Features, Instance, InstanceDescriptor, Limits, PowerPreference,
    Queue, RequestAdapterOptions,
};

/// A device and its queue.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
}

#[wasm_bindgen]
impl Gpu {
    /// Makes a device with the features of these names, and with the limits of its adapter or those that WebGPU
    /// guarantees.
    pub async fn request(
        label: Option<String>,
        power: Option<String>,
        features: Vec<String>,
        limits: String,
    ) -> Result<Self, JsError> {
        let power_preference = match power.as_deref() {
            None => PowerPreference::None,
            Some("low-power") => PowerPreference::LowPower,
            Some("high-performance") => PowerPreference::HighPerformance,
            Some(given) => return Err(wrong("powerPreference", given, "low-power or high-performance")),
        };
        let mut required_features = Features::empty();
        for name in &features {
            let feature = Features::from_str(name);
            required_features |= feature.map_err(|_| wrong("requiredFeatures", name, "the name of a feature"))?;
        }
        let options = RequestAdapterOptions { power_preference, ..RequestAdapterOptions::default() };
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
        // The message of wgpu tells of backends that no browser has.
        let missing = |_| JsError::new("WebGPU found no adapter");
        let adapter = instance.request_adapter(&options).await.map_err(missing)?;
        let required_limits = match &*limits {
            "webgpu" => Limits::default(),
            "adapter" => adapter.limits(),
            given => return Err(wrong("limits", given, "webgpu or adapter")),
        };
        let label = label.as_deref();
        let descriptor = DeviceDescriptor { label, required_features, required_limits, ..DeviceDescriptor::default() };
        let (device, queue) = adapter.request_device(&descriptor).await?;
        Ok(Self { device, queue })
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> JsValue {
        self.device.as_webgpu().cloned().map(JsValue::from).into()
    }
}

impl Gpu {
    /// Uses the device, and waits for its errors.
    pub(crate) async fn checked<T>(&self, what: &str, act: impl FnOnce(&Device) -> T) -> Result<T, JsError> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let done = act(&self.device);
        let (validation, memory) = (validation.pop(), memory.pop());
        let failed = |reason: &str| Err(JsError::new(&format!("{what}: {reason}")));
        match (memory.await, validation.await) {
            (Some(_), _) => failed("the device has too little memory"),
            (None, Some(Error::Validation { description, .. })) => failed(&description),
            (None, Some(error)) => failed(&error.to_string()),
            (None, None) => Ok(done),
        }
    }
}

fn wrong(field: &str, given: &str, need: &str) -> JsError {
    JsError::new(&format!("{field}: {given} was given, but must be {need}"))
}
