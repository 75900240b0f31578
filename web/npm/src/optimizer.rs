//! The optimizer. While a change waits for the device, the optimizer is away, and other calls are errors.

use std::cell::RefCell;

use js_sys::Array;
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};
use wgpu::{Buffer, BufferUsages};
use wgpu_adam::{Adam, Config, Error, Group, GroupClip, Options, Precision, Schedule, State, Tensor, View};

use crate::arena::{TensorSpec, allocate};
use crate::gpu::Gpu;
use crate::json::parse;
use crate::object::object;

/// A group as JavaScript gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupSpec {
    #[serde(default)]
    config: Config,
    #[serde(default)]
    schedule: Schedule,
    precision: Option<Precision>,
    clip: Option<ClipSpec>,
    tensors: Vec<TensorSpec>,
}

/// [`GroupClip`].
#[derive(Deserialize)]
enum ClipSpec {
    Group(f64),
    Tensor(f64),
}

impl From<ClipSpec> for GroupClip {
    fn from(clip: ClipSpec) -> Self {
        match clip {
            ClipSpec::Group(max_norm) => Self::Group(max_norm),
            ClipSpec::Tensor(max_norm) => Self::Tensor(max_norm),
        }
    }
}

/// An optimizer and its device.
#[wasm_bindgen]
pub struct Optimizer {
    gpu: Gpu,
    /// Usages of the buffers of tensors, beside those that everybody needs.
    usage: BufferUsages,
    /// `None` while a change waits for the device.
    adam: RefCell<Option<Adam>>,
}

#[wasm_bindgen]
impl Optimizer {
    /// Makes the buffers and the optimizer.
    pub async fn create(gpu: &Gpu, groups: String, options: String, usage: u32) -> Result<Self, JsError> {
        let specs: Vec<GroupSpec> = parse("groups", &groups)?;
        let options: Options = parse("options", &options)?;
        let (gpu, usage) = (gpu.clone(), BufferUsages::from_bits_truncate(usage));
        let mut groups = Vec::new();
        for GroupSpec { config, schedule, precision, clip, tensors } in specs {
            let tensors = make(&gpu, &tensors, usage).await?;
            groups.push(Group { config, tensors, schedule, precision, clip: clip.map(GroupClip::from) });
        }
        let adam = Adam::new_async(&gpu.device, &gpu.queue, &groups, options).await?;
        Ok(Self { gpu, usage, adam: RefCell::new(Some(adam)) })
    }

    /// Submits a step.
    pub fn step(&self) -> Result<(), JsError> {
        self.with(|adam| {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            adam.step(&mut encoder);
            self.gpu.queue.submit([encoder.finish()]);
        })
    }

    /// The parameters of a tensor, or its gradients: buffer, place in bytes, dtype and number of elements.
    pub fn binding(&self, name: &str, grad: bool) -> Result<JsValue, JsError> {
        self.with(|adam| {
            let tensor = adam.groups().iter().flat_map(|group| &group.tensors).find(|tensor| tensor.name == name);
            let tensor = tensor.ok_or_else(|| JsError::new(&format!("tensor `{name}` does not exist")))?;
            let View { buffer, offset, len, dtype, .. } = if grad { &tensor.grad } else { &tensor.param };
            Ok(object([
                ("buffer", handle(buffer)),
                ("offset", number(*offset)),
                ("size", number((len * dtype.bytes()).next_multiple_of(4))),
                ("dtype", format!("{dtype:?}").into()),
                ("len", number(*len)),
            ]))
        })?
    }

    /// The names of all tensors.
    pub fn names(&self) -> Result<Vec<String>, JsError> {
        self.with(|adam| adam.tensor_names().map(str::to_owned).collect())
    }

    /// The number of dispatches of a step.
    pub fn dispatches(&self) -> Result<usize, JsError> {
        self.with(Adam::dispatches)
    }

    /// The buffer of the loss scale, or undefined.
    pub fn loss_scale_buffer(&self) -> Result<JsValue, JsError> {
        self.with(|adam| adam.loss_scale_buffer().map(handle).into())
    }

    /// The bytes of the state.
    pub fn memory_use(&self) -> Result<JsValue, JsError> {
        let bytes = self.with(Adam::memory_use)?;
        Ok(object([
            ("m", number(bytes.m)),
            ("v", number(bytes.v)),
            ("vMax", number(bytes.v_max)),
            ("gradAvg", number(bytes.grad_avg)),
            ("master", number(bytes.master)),
            ("remainder", number(bytes.remainder)),
            ("small", number(bytes.small)),
            ("total", number(bytes.total())),
        ]))
    }

    /// The configuration of a group as JSON.
    pub fn config(&self, group: usize) -> Result<String, JsError> {
        self.with(|adam| {
            let groups = adam.groups().len();
            let missing =
                || JsError::new(&format!("group {group} does not exist: the optimizer has {groups}, counted from 0"));
            Ok(serde_json::to_string(&adam.groups().get(group).ok_or_else(missing)?.config)?)
        })?
    }

    pub async fn set_lr(&self, group: usize, lr: f64) -> Result<(), JsError> {
        self.change(Box::new(|adam| adam.set_lr(group, lr))).await
    }

    pub async fn set_config(&self, group: usize, config: String) -> Result<(), JsError> {
        let config: Config = parse("config", &config)?;
        self.change(Box::new(|adam| adam.set_config(group, config))).await
    }

    pub async fn set_schedule(&self, group: usize, schedule: String) -> Result<(), JsError> {
        let schedule: Schedule = parse("schedule", &schedule)?;
        self.change(Box::new(|adam| adam.set_schedule(group, schedule))).await
    }

    pub async fn set_active(&self, names: Vec<String>, active: bool) -> Result<(), JsError> {
        self.change(Box::new(|adam| adam.set_active(&borrowed(&names), active))).await
    }

    pub async fn add(&self, group: usize, tensors: String) -> Result<(), JsError> {
        let specs: Vec<TensorSpec> = parse("tensors", &tensors)?;
        let tensors = make(&self.gpu, &specs, self.usage).await?;
        self.change(Box::new(|adam| adam.add(group, tensors))).await
    }

    pub async fn remove(&self, names: Vec<String>) -> Result<(), JsError> {
        self.change(Box::new(|adam| adam.remove(&borrowed(&names)))).await
    }

    pub async fn reset(&self, names: Vec<String>) -> Result<(), JsError> {
        self.change(Box::new(|adam| adam.reset(&borrowed(&names)))).await
    }

    /// Reads the report of the last submitted step.
    pub async fn report(&self) -> Result<JsValue, JsError> {
        let report = self.with(Adam::read_report)?.await?;
        let groups = report.groups.iter().map(|group| object([("t", group.t.into()), ("lr", group.lr.into())]));
        Ok(object([
            ("t", report.t.into()),
            ("skipped", report.skipped.into()),
            ("skippedInARow", report.skipped_in_a_row.into()),
            ("lastSkipped", report.last_skipped.into()),
            ("nonfiniteTensor", report.nonfinite_tensor.into()),
            ("gradNorm", report.grad_norm.into()),
            ("clipCoef", report.clip_coef.into()),
            ("lossScale", report.loss_scale.into()),
            ("groups", groups.collect::<Array>().into()),
        ]))
    }

    /// Reads the state as a safetensors file.
    pub async fn state(&self) -> Result<Vec<u8>, JsError> {
        Ok(self.with(Adam::read_state)?.await?.to_bytes()?)
    }

    /// Loads a state from a safetensors file.
    pub async fn load(&self, bytes: Vec<u8>) -> Result<(), JsError> {
        let state = State::from_bytes(&bytes)?;
        let mut adam = self.take()?;
        let outcome = adam.load_state(&state).await;
        self.adam.replace(Some(adam));
        Ok(outcome?)
    }
}

impl Optimizer {
    fn with<T>(&self, act: impl FnOnce(&Adam) -> T) -> Result<T, JsError> {
        self.adam.borrow().as_ref().map(act).ok_or_else(away)
    }

    fn take(&self) -> Result<Adam, JsError> {
        self.adam.take().ok_or_else(away)
    }

    /// Changes the optimizer, and waits for errors of the device.
    async fn change(&self, change: Change<'_>) -> Result<(), JsError> {
        let mut adam = self.take()?;
        let outcome = adam.checked(change).await;
        self.adam.replace(Some(adam));
        Ok(outcome?)
    }
}

/// Boxed, so that the wasm has the code of a change once and not for each kind.
type Change<'a> = Box<dyn FnOnce(&mut Adam) -> Result<(), Error> + 'a>;

async fn make(gpu: &Gpu, specs: &[TensorSpec], usage: BufferUsages) -> Result<Vec<Tensor>, JsError> {
    gpu.checked("making the buffers", |device| allocate(device, specs, usage)).await?
}

fn away() -> JsError {
    JsError::new("a change of this optimizer is not done: await its promise first")
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The `GPUBuffer`.
fn handle(buffer: &Buffer) -> JsValue {
    buffer.as_webgpu().cloned().map(JsValue::from).into()
}

/// A number of bytes or elements: far below 2^53, up to which a number of JavaScript is exact.
fn number(count: u64) -> JsValue {
    (count as f64).into()
}
