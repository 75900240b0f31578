//! A training as a safetensors file: the parameters, with their names and shapes, and the optimizer's own file as a tensor
//! of bytes.
//!
//! The metadata has one field, `wgpu-adam page`, with a [`Header`] as JSON. The optimizer's file has a checksum of its own.

use crate::{Result, cpu::tensor_ranges, network::Network, settings::Settings};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use wasm_bindgen::JsError;
use wgpu_adam::State;

const FORMAT: &str = "wgpu-adam page";
const OPTIMIZER: &str = "optimizer";

/// All of a training except its numbers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub settings: Settings,
    /// Seed of the order of the rows.
    pub seed: u64,
    /// Number of minibatches that it has seen, skipped steps included.
    pub seen: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    training: Training,
    /// The CRC-32 of the parameters.
    crc32: u32,
}

pub fn write(network: &Network, training: &Training, param: &[f32], state: &State) -> Result<Vec<u8>> {
    let optimizer = state.to_bytes()?;
    let bytes: &[u8] = bytemuck::cast_slice(param);
    let tensors = tensor_ranges(network).map(|(name, at)| {
        let shape = shape(network, name);
        Ok((name, TensorView::new(Dtype::F32, shape, &bytes[4 * at.start..4 * at.end])?))
    });
    let mut tensors = tensors.into_iter().collect::<Result<Vec<_>>>()?;
    tensors.push((OPTIMIZER, TensorView::new(Dtype::U8, vec![optimizer.len()], &optimizer)?));
    let header = Header { training: training.clone(), crc32: crc32fast::hash(bytes) };
    let metadata = HashMap::from([(FORMAT.to_owned(), serde_json::to_string(&header)?)]);
    Ok(safetensors::serialize(tensors, Some(metadata))?)
}

/// Reads a file. An error says what is wrong with it.
pub fn read(network: &Network, bytes: &[u8]) -> Result<(Training, Vec<f32>, State)> {
    let wrong = |what: String| JsError::new(&what);
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| wrong(format!("This is no whole safetensors file: {error}.")))?;
    let Some(json) = header.metadata().as_ref().and_then(|all| all.get(FORMAT)) else {
        return Err(wrong("This safetensors file was not saved by this page.".to_owned()));
    };
    let Header { training, crc32 } = serde_json::from_str(json)
        .map_err(|error| wrong(format!("The file's description of the training is broken: {error}.")))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(format!("The file is broken: {error}.")))?;
    let mut param = vec![0.0; network.len()];
    for (name, at) in tensor_ranges(network) {
        let tensor = file.tensor(name).map_err(|_| wrong(format!("The file has no tensor {name}.")))?;
        let (given, need) = (tensor.shape(), shape(network, name));
        if given != need || tensor.dtype() != Dtype::F32 {
            return Err(wrong(format!(
                "The file's tensor {name} is {:?} {given:?}, and F32 {need:?} was expected.",
                tensor.dtype()
            )));
        }
        bytemuck::cast_slice_mut(&mut param[at]).copy_from_slice(tensor.data());
    }
    if crc32fast::hash(bytemuck::cast_slice(&param)) != crc32 {
        return Err(wrong("The parameters in the file are damaged: their checksum does not fit.".to_owned()));
    }
    let state = file.tensor(OPTIMIZER).map_err(|_| wrong("The file has no state of an optimizer.".to_owned()))?;
    let state = State::from_bytes(state.data())
        .map_err(|error| wrong(format!("The state in the file is refused: {error}.")))?;
    Ok((training, param, state))
}

fn shape(network: &Network, name: &str) -> Vec<usize> {
    match name {
        "hidden.weight" => vec![network.features, network.hidden],
        "output.weight" => vec![network.hidden, network.classes],
        "hidden.bias" => vec![network.hidden],
        _ => vec![network.classes],
    }
}
