//! The device. wgpu takes no device of JavaScript, so it is made here and handed out.

use std::str::FromStr;

use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};
use wgpu::{
    Device, DeviceDescriptor, Error, ErrorFilter, Features, Instance, InstanceDescriptor, Limits, PowerPreference,
    Queue, RequestAdapterOptions,
};

use crate::json::parse;

/// What `requestDevice` takes.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Descriptor {
    label: Option<String>,
    power_preference: Option<Power>,
    required_features: Vec<String>,
    limits: LimitsOf,
}

/// `PowerPreference` of wgpu. The feature `serde` of wgpu, which would read it, makes the package larger by tens of kB.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Power {
    LowPower,
    HighPerformance,
}

/// Whose limits the device has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LimitsOf {
    /// Those that WebGPU guarantees.
    #[default]
    WebGpu,
    /// The best of the adapter.
    Adapter,
}

impl Descriptor {
    fn features(&self) -> Result<Features, JsError> {
        let feature = |name: &String| {
            Features::from_str(name).map_err(|_| JsError::new(&format!("wgpu has no feature `{name}`")))
        };
        self.required_features.iter().map(feature).try_fold(Features::empty(), |all, one| Ok(all | one?))
    }
}

/// A device and its queue.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
}

#[wasm_bindgen]
impl Gpu {
    /// Makes a device.
    pub async fn request(descriptor: String) -> Result<Self, JsError> {
        let descriptor: Descriptor = parse("the descriptor", &descriptor)?;
        let required_features = descriptor.features()?;
        let options = RequestAdapterOptions {
            power_preference: match descriptor.power_preference {
                None => PowerPreference::None,
                Some(Power::LowPower) => PowerPreference::LowPower,
                Some(Power::HighPerformance) => PowerPreference::HighPerformance,
            },
            ..RequestAdapterOptions::default()
        };
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&options).await?;
        let descriptor = DeviceDescriptor {
            label: descriptor.label.as_deref(),
            required_features,
            required_limits: match descriptor.limits {
                LimitsOf::WebGpu => Limits::default(),
                LimitsOf::Adapter => adapter.limits(),
            },
            ..DeviceDescriptor::default()
        };
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
