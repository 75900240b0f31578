//! The file format of a state: a safetensors file with PyTorch's names. The metadata has the rest of the state as JSON.
//!
//! ```text
//! metadata   "format": "wgpu-adam", "version": "1", "state": JSON (see `Head`), "crc32": of the rest (see `checksum`)
//! tensors    "<tensor>.step": i64, no dimension
//!            the state tensors "<tensor>.<name>", one dimension:
//!            m      "exp_avg", or "momentum_buffer" for RMSProp and SGD
//!            v      "exp_avg_sq", "exp_inf" for AdaMax, "square_avg" for RMSProp, "sum" for AdaGrad
//!            v_max  "max_exp_avg_sq"
//!            for centered RMSProp "grad_avg", and v is "grad_var", which is PyTorch's square_avg - grad_avg^2
//!            for moments in 8-bit blocks also "<name>_scale", one scale per block; see `block8.wgsl` for the codes
//!            for 16-bit params "master" or "remainder"
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::{Dtype as FileDtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::config::dtype::Dtype;
use crate::config::hyperparameters::Config;
use crate::config::loss_scale::LossScaleState;
use crate::config::options::Options;
use crate::config::precision::Precision;
use crate::config::rule::{Rule, StateKind};
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::state::contents::{ClockState, GroupState, State, StateTensor, TensorState};

const FORMAT: &str = "wgpu-adam";
/// To be raised where a file is no longer what an older crate would take it for. A field of the JSON that is new and
/// may be left out is no reason.
const VERSION: u32 = 1;

/// The JSON in the metadata: a [`State`] without the values of its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    t: u32,
    skipped: u32,
    options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<ScaleHead>,
    groups: Vec<GroupHead>,
    clocks: Vec<ClockHead>,
    tensors: Vec<TensorHead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupHead {
    config: Config,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
}

/// A [`LossScaleState`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleHead {
    /// An f64, which survives JSON exactly.
    scale: f64,
    growth_tracker: u32,
}

impl GroupHead {
    fn new(group: &GroupState) -> Self {
        let GroupState { config, schedule, precision } = group.clone();
        Self { config, schedule, precision }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockHead {
    group: usize,
    t: u32,
    /// The default is `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    /// An f64, which survives JSON exactly.
    lr: f64,
    /// In hexadecimal: many readers of JSON have no integers above 2^53. Where a file from elsewhere has none, they are
    /// made from `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    powers: Option<[String; 4]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHead {
    name: String,
    clock: usize,
    len: u64,
}

/// The name of a state tensor in the file: PyTorch's name, if it has one.
fn key(kind: StateKind, rule: Rule) -> String {
    if kind.is_scale() {
        let codes = rule.state().iter().find(|(codes, _)| codes.scale() == Some(kind));
        return codes.map_or(kind.name().to_owned(), |(_, name)| format!("{name}_scale"));
    }
    let named = rule.state().iter().find(|(state_kind, _)| *state_kind == kind);
    named.map_or(kind.name(), |(_, name)| name).to_owned()
}

/// The dtypes that a state tensor may have, with their counterparts in safetensors.
const DTYPES: [(Dtype, FileDtype); 4] = [
    (Dtype::F32, FileDtype::F32),
    (Dtype::Bf16, FileDtype::BF16),
    (Dtype::I16, FileDtype::I16),
    (Dtype::U8, FileDtype::U8),
];

/// One tensor of the file.
struct Entry<'a> {
    dtype: FileDtype,
    shape: Vec<usize>,
    data: Cow<'a, [u8]>,
}

impl View for &Entry<'_> {
    fn dtype(&self) -> FileDtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The CRC-32 of the JSON, followed for each tensor (in the order of names) by a line `name dtype shape` and its bytes.
fn checksum<'a>(json: &str, entries: impl Iterator<Item = (&'a str, FileDtype, &'a [usize], &'a [u8])>) -> String {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by_key(|entry| entry.0);
    let mut crc = crc32fast::Hasher::new();
    crc.update(json.as_bytes());
    for (name, dtype, shape, data) in entries {
        crc.update(format!("{name} {dtype:?} {shape:?}\n").as_bytes());
        crc.update(data);
    }
    format!("{:08x}", crc.finalize())
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::InvalidState { reason: reason.into() }
}

impl State {
    /// Serializes the state in the safetensors format, with PyTorch's names: the contents of a file.
    ///
    /// # Errors
    /// Returns [`Error::InvalidState`], or the error of a configuration or schedule, if the state was edited to one
    /// that [`from_bytes`](Self::from_bytes) would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.validate()?;
        let json = serde_json::to_string(&self.head()).map_err(|e| invalid(e.to_string()))?;
        let mut entries = Vec::new();
        for tensor in &self.tensors {
            let name = &tensor.name;
            let (Some(rule), Some(clock)) = (self.rule(tensor.clock), self.clocks.get(tensor.clock)) else {
                return Err(invalid(format!("tensor `{name}` refers to a clock that does not exist")));
            };
            let step = Cow::Owned(i64::from(clock.t).to_le_bytes().to_vec());
            entries.push((format!("{name}.step"), Entry { dtype: FileDtype::I64, shape: Vec::new(), data: step }));
            for StateTensor { kind, dtype, bytes } in &tensor.state {
                let Some((_, file_dtype)) = DTYPES.iter().find(|(known, _)| known == dtype) else {
                    return Err(invalid(format!(
                        "tensor `{name}`: {} is {dtype:?}, which a state file cannot hold",
                        kind.name()
                    )));
                };
                let shape = vec![bytes.len() / dtype.bytes() as usize];
                let entry = Entry { dtype: *file_dtype, shape, data: Cow::Borrowed(bytes) };
                entries.push((format!("{name}.{}", key(*kind, rule)), entry));
            }
        }
        let crc = checksum(&json, entries.iter().map(|(name, e)| (name.as_str(), e.dtype, &e.shape[..], &*e.data)));
        let metadata =
            [("format", FORMAT.to_owned()), ("version", VERSION.to_string()), ("state", json), ("crc32", crc)];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        safetensors::serialize(entries.iter().map(|(name, entry)| (name, entry)), Some(metadata))
            .map_err(|e| invalid(e.to_string()))
    }

    /// Deserializes a state from the contents of a file.
    ///
    /// # Errors
    /// Returns [`Error::InvalidState`] if the bytes are damaged or not a state, [`Error::StateVersion`] if a later
    /// version of this crate wrote them, and [`Error::Config`], [`Error::UnusedField`] or [`Error::Schedule`] for an
    /// invalid configuration or schedule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| invalid(format!("not a safetensors file: {e}")))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| invalid(e.to_string()))?;
        let field = |key: &str| {
            let value = header.metadata().as_ref().and_then(|metadata| metadata.get(key));
            value.map(String::as_str).ok_or_else(|| invalid(format!("the metadata has no `{key}`")))
        };
        let format = field("format")?;
        if format != FORMAT {
            return Err(invalid(format!("the format is `{format}`, but must be `{FORMAT}`")));
        }
        let version = field("version")?;
        match version.parse::<u32>() {
            Ok(VERSION) => {}
            Ok(given) if given > VERSION => return Err(Error::StateVersion { given, need: VERSION }),
            _ => return Err(invalid(format!("the version is `{version}`, but must be at most {VERSION}"))),
        }
        let json = field("state")?;
        let views = file.iter().collect::<Vec<_>>();
        let crc = checksum(json, views.iter().map(|(name, view)| (*name, view.dtype(), view.shape(), view.data())));
        let need = field("crc32")?;
        if crc != need {
            return Err(invalid(format!("the checksum is {crc}, but must be {need}: the file is damaged")));
        }
        let head: Head = serde_json::from_str(json).map_err(|e| invalid(format!("`state` in the metadata: {e}")))?;
        let mut views: HashMap<&str, _> = views.into_iter().collect();
        let mut state = head.state()?;
        let clocks = state.clocks.len();
        for tensor in &mut state.tensors {
            let group =
                state.clocks.get(tensor.clock).and_then(|clock| Some((clock.t, state.groups.get(clock.group)?)));
            let Some((t, group)) = group else {
                return Err(invalid(format!(
                    "tensor `{}` refers to clock {}, but there are {clocks} clocks",
                    tensor.name, tensor.clock
                )));
            };
            let step = format!("{}.step", tensor.name);
            let Some(view) = views.remove(step.as_str()) else {
                return Err(invalid(format!("there is no entry `{step}`")));
            };
            if view.dtype() != FileDtype::I64 || !view.shape().is_empty() || view.data() != i64::from(t).to_le_bytes() {
                return Err(invalid(format!("`{step}` must be the i64 {t}, the step count of its clock")));
            }
            for kind in StateKind::ALL {
                let name = format!("{}.{}", tensor.name, key(kind, group.config.variant.rule()));
                let Some(view) = views.remove(name.as_str()) else { continue };
                let Some((dtype, _)) = DTYPES.iter().find(|(_, dtype)| *dtype == view.dtype()) else {
                    return Err(invalid(format!(
                        "`{name}` has dtype {:?}, which no state tensor can have",
                        view.dtype()
                    )));
                };
                tensor.state.push(StateTensor { kind, dtype: *dtype, bytes: view.data().to_vec() });
            }
        }
        if let Some(stranger) = views.keys().min() {
            return Err(invalid(format!("unexpected entry `{stranger}`: no tensor of this state owns it")));
        }
        state.validate()?;
        Ok(state)
    }

    fn head(&self) -> Head {
        let clock = |clock: &ClockState| ClockHead {
            group: clock.group,
            t: clock.t,
            position: Some(clock.position).filter(|position| *position != clock.t),
            lr: clock.lr.into(),
            powers: Some(clock.powers.map(|power| format!("{power:016x}"))),
        };
        let tensor =
            |tensor: &TensorState| TensorHead { name: tensor.name.clone(), clock: tensor.clock, len: tensor.len };
        Head {
            t: self.t,
            skipped: self.skipped,
            options: self.options.clone(),
            loss_scale: self
                .loss_scale
                .map(|LossScaleState { scale, growth_tracker }| ScaleHead { scale: scale.into(), growth_tracker }),
            groups: self.groups.iter().map(GroupHead::new).collect(),
            clocks: self.clocks.iter().map(clock).collect(),
            tensors: self.tensors.iter().map(tensor).collect(),
        }
    }
}

impl Head {
    /// The state, with the tensors still empty.
    fn state(self) -> Result<State, Error> {
        let (mut clocks, groups) = (Vec::new(), self.groups.len());
        for (i, clock) in self.clocks.into_iter().enumerate() {
            let Some(group) = self.groups.get(clock.group) else {
                return Err(invalid(format!(
                    "clock {i} refers to group {}, but there are {groups} groups",
                    clock.group
                )));
            };
            group.config.validate(clock.group)?;
            let mut state = match clock.powers {
                Some(hexadecimal) => {
                    let mut powers = [0; 4];
                    for (power, digits) in powers.iter_mut().zip(&hexadecimal) {
                        let number = u64::from_str_radix(digits, 16);
                        *power = number.map_err(|_| {
                            invalid(format!("clock {i}: `{digits}` is not a 64-bit number in hexadecimal"))
                        })?;
                    }
                    ClockState { group: clock.group, t: clock.t, position: clock.t, lr: 0.0, powers }
                }
                None => ClockState::at(clock.group, &group.config, clock.t),
            };
            state.lr = clock.lr as f32;
            state.position = clock.position.unwrap_or(clock.t);
            clocks.push(state);
        }
        let tensors = self.tensors.into_iter().map(|TensorHead { name, clock, len }| TensorState {
            name,
            clock,
            len,
            state: Vec::new(),
        });
        Ok(State {
            t: self.t,
            skipped: self.skipped,
            options: self.options.clone(),
            loss_scale: self
                .loss_scale
                .map(|ScaleHead { scale, growth_tracker }| LossScaleState { scale: scale as f32, growth_tracker }),
            groups: self
                .groups
                .into_iter()
                .map(|GroupHead { config, schedule, precision }| GroupState { config, schedule, precision })
                .collect(),
            clocks,
            tensors: tensors.collect(),
        })
    }
}
