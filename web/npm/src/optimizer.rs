//! The optimizer. While a change waits for the device, the optimizer is away, and other calls are errors.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};
use wasm_bindgen_futures::future_to_promise;
use wgpu::{Buffer, BufferUsages, CommandEncoder};
use wgpu_adam::{Adam, Config, Error, Group, Options, Schedule, State, View};

use crate::arena::plan;
use crate::gpu::Gpu;
use crate::json::parse;
use crate::object::object;
use crate::specs::{GroupSpec, Groups, Tensors};

/// An optimizer and its device.
#[wasm_bindgen]
pub struct Optimizer {
    gpu: Gpu,
    /// Usages of the buffers of tensors, beside those that everybody needs.
    usage: BufferUsages,
    /// `None` while a change waits for the device.
    adam: Rc<RefCell<Option<Adam>>>,
}

#[wasm_bindgen]
impl Optimizer {
    /// Makes the buffers and the optimizer.
    pub async fn create(gpu: &Gpu, groups: Groups, options: String, usage: u32) -> Result<Self, JsError> {
        let options: Options = parse("options", &options)?;
        let (gpu, usage) = (gpu.clone(), BufferUsages::from_bits_truncate(usage));
        let (mut made, mut specs) = (Vec::new(), Vec::new());
        for GroupSpec { config, schedule, precision, clip, tensors } in groups.0 {
            made.push((Group { config, schedule, precision, clip, tensors: Vec::new() }, tensors.len()));
            specs.extend(tensors);
        }
        let plan = plan(&gpu.device, specs)?;
        let mut tensors = gpu.checked("making the buffers", |device| plan.allocate(device, usage)).await?.into_iter();
        for (group, count) in &mut made {
            group.tensors.extend(tensors.by_ref().take(*count));
        }
        let groups: Vec<Group> = made.into_iter().map(|(group, _)| group).collect();
        let adam = Adam::new_async(&gpu.device, &gpu.queue, &groups, options).await?;
        Ok(Self { gpu, usage, adam: Rc::new(RefCell::new(Some(adam))) })
    }

    /// Submits a step.
    pub fn step(&self) -> Result<(), JsError> {
        self.submit(Adam::step)
    }

    /// Submits the change to the parameters for evaluation.
    pub fn eval_mode(&self) -> Result<(), JsError> {
        self.submit(Adam::eval_mode)
    }

    /// Submits the change to the parameters for training.
    pub fn train_mode(&self) -> Result<(), JsError> {
        self.submit(Adam::train_mode)
    }

    /// The parameters of a tensor, or its gradients: buffer, place in bytes, dtype and number of elements.
    pub fn binding(&self, name: &str, grad: bool) -> Result<JsValue, JsError> {
        self.with(|adam| {
            let tensor = adam.groups().iter().flat_map(|group| &group.tensors).find(|tensor| tensor.name == name);
            let tensor = tensor.ok_or_else(|| JsError::new(&format!("tensor `{name}` does not exist")))?;
            let view = if grad { tensor.grad.view() } else { Some(&tensor.param) };
            let fixed = || JsError::new(&format!("tensor `{name}` has no fixed gradients"));
            let View { buffer, offset, len, dtype, .. } = view.ok_or_else(fixed)?;
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

    pub fn set_lr(&self, group: usize, lr: f64) -> Result<Promise, JsError> {
        self.change(Box::new(move |adam| adam.set_lr(group, lr)))
    }

    pub fn set_config(&self, group: usize, config: &str) -> Result<Promise, JsError> {
        let config: Config = parse("config", config)?;
        self.change(Box::new(move |adam| adam.set_config(group, config)))
    }

    pub fn set_schedule(&self, group: usize, schedule: &str) -> Result<Promise, JsError> {
        let schedule: Schedule = parse("schedule", schedule)?;
        self.change(Box::new(move |adam| adam.set_schedule(group, schedule)))
    }

    pub fn set_active(&self, names: Vec<String>, active: bool) -> Result<Promise, JsError> {
        self.change(Box::new(move |adam| adam.set_active(&borrowed(&names), active)))
    }

    pub fn add(&self, group: usize, tensors: Tensors) -> Result<Promise, JsError> {
        let (plan, device, usage) = (plan(&self.gpu.device, tensors.0)?, self.gpu.device.clone(), self.usage);
        self.change(Box::new(move |adam| adam.add(group, plan.allocate(&device, usage))))
    }

    pub fn remove(&self, names: Vec<String>) -> Result<Promise, JsError> {
        self.change(Box::new(move |adam| adam.remove(&borrowed(&names))))
    }

    pub fn reset(&self, names: Vec<String>) -> Result<Promise, JsError> {
        self.change(Box::new(move |adam| adam.reset(&borrowed(&names))))
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
            ("evaluating", report.evaluating.into()),
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
    pub fn load(&self, bytes: &[u8]) -> Result<Promise, JsError> {
        let state = State::from_bytes(bytes)?;
        self.away(async move |adam| adam.load_state(&state).await)
    }
}

/// Boxed, so that the wasm has the code of a change once and not for each kind.
type Change = Box<dyn FnOnce(&mut Adam) -> Result<(), Error>>;

impl Optimizer {
    fn with<T>(&self, act: impl FnOnce(&Adam) -> T) -> Result<T, JsError> {
        self.adam.borrow().as_ref().map(act).ok_or_else(absent)
    }

    fn submit(&self, record: fn(&Adam, &mut CommandEncoder)) -> Result<(), JsError> {
        self.with(|adam| {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            record(adam, &mut encoder);
            self.gpu.queue.submit([encoder.finish()]);
        })
    }

    /// Changes the optimizer, and waits for errors of the device.
    fn change(&self, change: Change) -> Result<Promise, JsError> {
        self.away(async move |adam| adam.checked(change).await)
    }

    /// Takes the optimizer away at once, and brings it back when `act` is done.
    fn away(&self, act: impl AsyncFnOnce(&mut Adam) -> Result<(), Error> + 'static) -> Result<Promise, JsError> {
        let mut adam = self.adam.take().ok_or_else(absent)?;
        let home = self.adam.clone();
        Ok(future_to_promise(async move {
            let outcome = act(&mut adam).await;
            home.replace(Some(adam));
            outcome.map(|()| JsValue::UNDEFINED).map_err(|error| JsError::from(error).into())
        }))
    }
}

fn absent() -> JsError {
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
