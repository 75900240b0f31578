//! Reads and writes the file format of a state, which the documentation of the module `state` specifies.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io;
use std::io::Read;

use safetensors::Dtype as FileDtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::{Deserialize, Serialize};

use crate::config::dtype::Dtype;
use crate::config::hyperparameters::Config;
use crate::config::loss_scale::LossScaleState;
use crate::config::options::Options;
use crate::config::precision::Precision;
use crate::config::rule::{Rule, StateKind};
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::num::crc32::Crc32;
use crate::state::contents::{ClockState, GroupState, State, StateTensor, TensorState};

const FORMAT: &str = "wgpu-adam";
/// To be raised where a file is no longer what an older crate would take it for. A field of the JSON that is new and
/// may be left out is no reason.
const VERSION: u32 = 1;

/// The largest header that readers of safetensors accept, in bytes.
const LARGEST_HEADER: u64 = 100_000_000;

/// The header of a safetensors file, sorted so that equal states give equal bytes.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'a str, String>,
    #[serde(flatten)]
    entries: BTreeMap<&'a str, TensorInfo>,
}

/// The JSON in the metadata: a [`State`] without the values of its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    t: u32,
    skipped: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    skipped_in_a_row: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    accumulated: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    evaluating: bool,
    options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<ScaleHead>,
    groups: Vec<GroupHead>,
    clocks: Vec<ClockHead>,
    tensors: Vec<TensorHead>,
}

fn is_zero(x: &u32) -> bool {
    *x == 0
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
    /// The default is the largest `t` of the group's clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    /// An f64, which survives JSON exactly.
    lr: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    /// In hexadecimal: many readers of JSON have no integers above 2^53. Where a file from elsewhere has none, they are
    /// made from `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    powers: Option<[String; 4]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_average: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHead {
    name: String,
    clock: usize,
    len: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
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

/// The counterpart of a dtype in safetensors.
fn file_dtype(dtype: Dtype) -> FileDtype {
    match dtype {
        Dtype::F32 => FileDtype::F32,
        Dtype::F16 => FileDtype::F16,
        Dtype::Bf16 => FileDtype::BF16,
        Dtype::I32 => FileDtype::I32,
        Dtype::U32 => FileDtype::U32,
        Dtype::I16 => FileDtype::I16,
        Dtype::U8 => FileDtype::U8,
    }
}

/// One tensor of the file.
struct Entry<'a> {
    dtype: FileDtype,
    shape: Vec<usize>,
    data: Cow<'a, [u8]>,
}

/// The CRC-32 of the JSON, followed for each tensor (in the order of names) by a line `name dtype shape` and its bytes.
fn checksum(json: &str, entries: &BTreeMap<String, Entry>) -> String {
    let mut crc = Crc32::new();
    crc.update(json.as_bytes());
    for (name, Entry { dtype, shape, data }) in entries {
        crc.update(format!("{name} {dtype:?} {shape:?}\n").as_bytes());
        crc.update(data);
    }
    format!("{:08x}", crc.finalize())
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::InvalidState { reason: reason.into() }
}

fn not_safetensors(reason: impl Display) -> Error {
    invalid(format!("not a safetensors file: {reason}"))
}

/// The JSON, or an error with the path to the field that is wrong.
fn head(json: &str) -> Result<Head, Error> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(|e| {
        let (field, reason) = (e.path().to_string(), e.inner().to_string());
        // serde has no other way to tell these errors from others.
        if reason.starts_with("unknown field") || reason.starts_with("unknown variant") {
            let unknown = reason.split(", ").next().unwrap_or_default().to_owned();
            return Error::StateField { field, unknown };
        }
        invalid(format!("`{field}` in `state` of the metadata: {reason}"))
    })
}

impl State {
    /// Serializes the state in the safetensors format, with PyTorch's names: the contents of a file, which the
    /// [module](crate::state) specifies. Equal states give equal bytes.
    ///
    /// # Errors
    /// Returns [`Error::InvalidState`], or the error of a configuration, schedule or option, if the state was edited to
    /// one that [`from_bytes`](Self::from_bytes) would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(self.pieces()?.concat())
    }

    /// The contents of a file in pieces: the header, and the tensors, which are borrowed.
    pub(crate) fn pieces(&self) -> Result<Vec<Cow<'_, [u8]>>, Error> {
        self.validate()?;
        let json = serde_json::to_string(&self.head()).map_err(|e| invalid(e.to_string()))?;
        // Sequences of schedules may be nested deeper than a reader follows.
        head(&json)?;
        let entries = self.entries();
        let crc = checksum(&json, &entries);
        // Wide dtypes come first, so that each tensor is aligned.
        let mut entries: Vec<(String, Entry)> = entries.into_iter().collect();
        entries.sort_by_key(|(_, entry)| Reverse(entry.dtype));
        let mut end = 0;
        let infos = entries.iter().map(|(name, Entry { dtype, shape, data })| {
            let begin = end;
            end += data.len();
            (name.as_str(), TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (begin, end) })
        });
        let metadata =
            [("format", FORMAT.to_owned()), ("version", VERSION.to_string()), ("state", json), ("crc32", crc)];
        let header = Header { metadata: metadata.into(), entries: infos.collect() };
        let mut header = serde_json::to_vec(&header).map_err(|e| invalid(e.to_string()))?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let len = header.len() as u64;
        if len > LARGEST_HEADER {
            return Err(invalid(format!("the header has {len} bytes, but a file holds at most {LARGEST_HEADER}")));
        }
        let header = Cow::Owned([&len.to_le_bytes(), &header[..]].concat());
        Ok([header].into_iter().chain(entries.into_iter().map(|(_, entry)| entry.data)).collect())
    }

    /// The tensors of the file, by name. The state is valid.
    fn entries(&self) -> BTreeMap<String, Entry<'_>> {
        let mut entries = BTreeMap::new();
        for TensorState { name, clock, state, .. } in &self.tensors {
            let step = Cow::Owned(i64::from(self.clocks[*clock].t).to_le_bytes().to_vec());
            entries.insert(format!("{name}.step"), Entry { dtype: FileDtype::I64, shape: Vec::new(), data: step });
            let rule = self.rule(*clock);
            for StateTensor { kind, dtype, bytes } in state {
                let (shape, data) = (vec![bytes.len() / dtype.bytes() as usize], Cow::Borrowed(&bytes[..]));
                let dtype = file_dtype(*dtype);
                entries.insert(format!("{name}.{}", key(*kind, rule)), Entry { dtype, shape, data });
            }
        }
        entries
    }

    /// Deserializes a state from the contents of a file.
    ///
    /// # Errors
    /// Returns [`Error::InvalidState`] if the bytes are damaged or not a state, [`Error::StateVersion`] or
    /// [`Error::StateField`] if a later version of this crate wrote them, and [`Error::Config`],
    /// [`Error::UnusedField`], [`Error::Schedule`], [`Error::Option`] or [`Error::Precision`] for an invalid
    /// configuration, schedule or option.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(&mut &*bytes, bytes.len() as u64, &|e| not_safetensors(e))
    }

    /// Reads the contents of a file of `len` bytes, tensor by tensor.
    pub(crate) fn read(from: &mut dyn Read, len: u64, failed: &dyn Fn(io::Error) -> Error) -> Result<Self, Error> {
        let mut read = |bytes: u64| -> Result<Vec<u8>, Error> {
            let mut to = Vec::new();
            // A damaged file may ask for any size.
            to.try_reserve_exact(bytes as usize).map_err(|e| failed(e.into()))?;
            to.resize(bytes as usize, 0);
            from.read_exact(&mut to).map_err(failed)?;
            Ok(to)
        };
        let Some(most) = len.checked_sub(8) else {
            return Err(not_safetensors(format!("it has {len} bytes, but must have at least 8")));
        };
        let size = u64::from_le_bytes(read(8)?.try_into().unwrap_or_default());
        if size > most.min(LARGEST_HEADER) {
            return Err(not_safetensors(format!(
                "its header has {size} bytes, but may have {}",
                most.min(LARGEST_HEADER)
            )));
        }
        let header: Metadata = serde_json::from_slice(&read(size)?).map_err(not_safetensors)?;
        let (given, need) = (most - size, header.data_len() as u64);
        if given != need {
            return Err(not_safetensors(format!("its tensors have {given} bytes, but must have {need}")));
        }
        let mut entries = BTreeMap::new();
        for name in header.offset_keys() {
            let Some(TensorInfo { dtype, shape, data_offsets: (begin, end) }) = header.info(&name).cloned() else {
                continue;
            };
            entries.insert(name, Entry { dtype, shape, data: Cow::Owned(read((end - begin) as u64)?) });
        }
        Self::from_entries(header.metadata().as_ref().unwrap_or(&HashMap::new()), entries)
    }

    fn from_entries(metadata: &HashMap<String, String>, mut entries: BTreeMap<String, Entry>) -> Result<Self, Error> {
        let field = |key: &str| {
            metadata.get(key).map(String::as_str).ok_or_else(|| invalid(format!("the metadata has no `{key}`")))
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
        let crc = checksum(json, &entries);
        let need = field("crc32")?;
        if crc != need {
            return Err(invalid(format!("the checksum is {crc}, but must be {need}: the file is damaged")));
        }
        let mut state = head(json)?.state()?;
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
            let Some(Entry { dtype, shape, data }) = entries.remove(&step) else {
                return Err(invalid(format!("there is no entry `{step}`")));
            };
            if dtype != FileDtype::I64 || !shape.is_empty() || *data != i64::from(t).to_le_bytes() {
                return Err(invalid(format!("`{step}` must be the i64 {t}, the step count of its clock")));
            }
            for kind in StateKind::ALL {
                let name = format!("{}.{}", tensor.name, key(kind, group.config.variant.rule()));
                let Some(Entry { dtype, data, .. }) = entries.remove(&name) else { continue };
                let known = [Dtype::F32, Dtype::Bf16, Dtype::I16, Dtype::U8, Dtype::U32];
                let Some(dtype) = known.into_iter().find(|known| file_dtype(*known) == dtype) else {
                    return Err(invalid(format!("`{name}` has dtype {dtype:?}, which no state tensor can have")));
                };
                tensor.state.push(StateTensor { kind, dtype, bytes: data.into_owned() });
            }
        }
        if let Some(stranger) = entries.keys().next() {
            return Err(invalid(format!("unexpected entry `{stranger}`: no tensor of this state owns it")));
        }
        state.validate()?;
        Ok(state)
    }

    fn head(&self) -> Head {
        let clock = |clock: &ClockState| ClockHead {
            group: clock.group,
            t: clock.t,
            // Earlier versions take `t` for a missing position.
            position: Some(clock.position).filter(|position| *position != clock.t),
            lr: clock.lr.into(),
            active: clock.active,
            powers: Some(clock.powers.map(|power| format!("{power:016x}"))),
            to_average: Some(f64::from(clock.to_average)).filter(|to_average| *to_average != 0.0),
        };
        let tensor = |tensor: &TensorState| {
            let TensorState { name, clock, len, width, .. } = tensor;
            TensorHead { name: name.clone(), clock: *clock, len: *len, width: *width }
        };
        Head {
            t: self.t,
            skipped: self.skipped,
            skipped_in_a_row: self.skipped_in_a_row,
            accumulated: self.accumulated,
            evaluating: self.evaluating,
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
        // The largest t of each group's clocks.
        let mut largest: Vec<Option<u32>> = vec![None; groups];
        for clock in &self.clocks {
            if let Some(largest) = largest.get_mut(clock.group) {
                *largest = Some(clock.t).max(*largest);
            }
        }
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
                    ClockState { powers, ..ClockState::at(clock.group, &group.config, clock.t) }
                }
                None => ClockState::at(clock.group, &group.config, clock.t),
            };
            (state.lr, state.active) = (clock.lr as f32, clock.active);
            state.to_average = clock.to_average.unwrap_or(0.0) as f32;
            state.position = clock.position.or(largest[clock.group]).unwrap_or(clock.t);
            clocks.push(state);
        }
        // A file from elsewhere may have a group without tensors and without a clock. It begins at step 0.
        for (i, (group, _)) in self.groups.iter().zip(largest).enumerate().filter(|(_, (_, t))| t.is_none()) {
            group.config.validate(i)?;
            clocks.push(ClockState::at(i, &group.config, 0));
        }
        let tensors = self.tensors.into_iter().map(|TensorHead { name, clock, len, width }| TensorState {
            name,
            clock,
            len,
            width,
            state: Vec::new(),
        });
        Ok(State {
            t: self.t,
            skipped: self.skipped,
            skipped_in_a_row: self.skipped_in_a_row,
            accumulated: self.accumulated,
            evaluating: self.evaluating,
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
