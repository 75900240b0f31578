//! Groups and tensors as JavaScript gives them. Values that the crate can read come as JSON, and the others one by one,
//! which takes less code in the wasm.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_adam::{Config, Dtype, GroupClip, Precision, Schedule};

use crate::json::parse;

/// A tensor that has no buffers yet.
pub struct TensorSpec {
    pub name: String,
    pub len: u64,
    pub dtype: Dtype,
    pub grad_dtype: Dtype,
    pub grad_scale: f32,
}

/// A list of tensors.
#[wasm_bindgen]
#[derive(Default)]
pub struct Tensors(pub(crate) Vec<TensorSpec>);

#[wasm_bindgen]
impl Tensors {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, name: String, len: f64, dtype: &str, grad_dtype: &str, scale: f32) -> Result<(), JsError> {
        let wrong = |field: &str, given: &str, need: &str| {
            Err(JsError::new(&format!("tensor `{name}`: {field} is {given}, but must be {need}")))
        };
        let (dtype, grad_dtype) = match (read(dtype), read(grad_dtype)) {
            (None | Some(Dtype::I32), _) => return wrong("dtype", dtype, "F32, F16 or Bf16"),
            (_, None) => return wrong("gradDtype", grad_dtype, "F32, F16, Bf16 or I32"),
            (Some(dtype), Some(grad_dtype)) => (dtype, grad_dtype),
        };
        if !(0.0..=2_f64.powi(53)).contains(&len) || len.fract() != 0.0 {
            return wrong("len", &len.to_string(), "a whole number");
        }
        self.0.push(TensorSpec { name, len: len as u64, dtype, grad_dtype, grad_scale: scale });
        Ok(())
    }
}

fn read(dtype: &str) -> Option<Dtype> {
    [("F32", Dtype::F32), ("F16", Dtype::F16), ("Bf16", Dtype::Bf16), ("I32", Dtype::I32)]
        .into_iter()
        .find_map(|(name, value)| (name == dtype).then_some(value))
}

/// A group whose tensors have no buffers yet.
pub struct GroupSpec {
    pub config: Config,
    pub schedule: Schedule,
    pub precision: Option<Precision>,
    pub clip: Option<GroupClip>,
    pub tensors: Vec<TensorSpec>,
}

/// A list of groups.
#[wasm_bindgen]
#[derive(Default)]
pub struct Groups(pub(crate) Vec<GroupSpec>);

#[wasm_bindgen]
impl Groups {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// `clip` is the name of a variant, and `max_norm` its value.
    pub fn push(
        &mut self,
        config: &str,
        schedule: &str,
        precision: Option<String>,
        clip: Option<String>,
        max_norm: f64,
        tensors: Tensors,
    ) -> Result<(), JsError> {
        let what = |field: &str| format!("groups[{}].{field}", self.0.len());
        let group = GroupSpec {
            config: parse(&what("config"), config)?,
            schedule: parse(&what("schedule"), schedule)?,
            precision: precision.map(|precision| parse(&what("precision"), &precision)).transpose()?,
            clip: match clip.as_deref() {
                None => None,
                Some("Group") => Some(GroupClip::Group(max_norm)),
                Some("Tensor") => Some(GroupClip::Tensor(max_norm)),
                Some(other) => {
                    let message = format!("{}: unknown variant `{other}`, expected `Group` or `Tensor`", what("clip"));
                    return Err(JsError::new(&message));
                }
            },
            tensors: tensors.0,
        };
        self.0.push(group);
        Ok(())
    }
}
