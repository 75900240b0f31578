//! The buffers of parameters and gradients. Tensors of the same dtypes lie in one buffer of parameters and, at the same
//! distances, in one of gradients, so that a step needs few dispatches.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasm_bindgen::JsError;
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};
use wgpu_adam::{Dtype, Tensor, View};

/// A tensor as JavaScript gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    name: String,
    len: u64,
    #[serde(default)]
    dtype: Dtype,
    /// Default: as the parameters.
    grad_dtype: Option<Dtype>,
    grad_scale: Option<f32>,
}

/// The place of a tensor: the number of its pair of buffers, and its first element there.
struct Place {
    pair: usize,
    start: u64,
}

/// A pair of buffers: its dtypes, and its length in elements.
struct Pair {
    dtypes: (Dtype, Dtype),
    len: u64,
}

impl TensorSpec {
    fn dtypes(&self) -> (Dtype, Dtype) {
        (self.dtype, self.grad_dtype.unwrap_or(self.dtype))
    }
}

/// Makes the buffers of tensors, filled with zeros. `usage` is added to the usages.
pub fn allocate(device: &Device, specs: &[TensorSpec], usage: BufferUsages) -> Result<Vec<Tensor>, JsError> {
    let limits = device.limits();
    let (pairs, places) = place(specs, limits.max_buffer_size, limits.min_storage_buffer_offset_alignment.into())?;
    let usage = usage | BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let buffer = |label, size: u64| {
        let size = size.next_multiple_of(4);
        device.create_buffer(&BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    };
    let buffers: Vec<(Buffer, Buffer)> = pairs
        .iter()
        .map(|Pair { dtypes: (param, grad), len }| {
            (buffer("parameters", len * param.bytes()), buffer("gradients", len * grad.bytes()))
        })
        .collect();
    let tensors = specs.iter().zip(places).map(|(spec, Place { pair, start })| {
        let ((param, grad), (dtype, grad_dtype)) = (&buffers[pair], spec.dtypes());
        let view = |buffer, dtype| View::new(buffer, dtype).slice(start..start + spec.len);
        let tensor = Tensor::new(&spec.name, view(param, dtype), view(grad, grad_dtype));
        tensor.with_grad_scale(spec.grad_scale.unwrap_or(1.0))
    });
    Ok(tensors.collect())
}

/// Plans the buffers. A tensor begins where a binding may begin.
fn place(specs: &[TensorSpec], max_bytes: u64, alignment: u64) -> Result<(Vec<Pair>, Vec<Place>), JsError> {
    let (mut pairs, mut places): (Vec<Pair>, Vec<Place>) = Default::default();
    let mut current: BTreeMap<(Dtype, Dtype), usize> = BTreeMap::new();
    for spec in specs {
        let dtypes = spec.dtypes();
        let (narrow, wide) = (dtypes.0.bytes().min(dtypes.1.bytes()), dtypes.0.bytes().max(dtypes.1.bytes()));
        let max_len = max_bytes / wide;
        if spec.len > max_len {
            let TensorSpec { name, len, .. } = spec;
            let message = format!(
                "tensor `{name}`: it has {len} elements of {wide} bytes, but a buffer of the device has at most \
                 {max_bytes} bytes (maxBufferSize)"
            );
            return Err(JsError::new(&message));
        }
        let fits = |pair: &usize| pairs[*pair].len.next_multiple_of(alignment / narrow) + spec.len <= max_len;
        let pair = match current.get(&dtypes).copied().filter(fits) {
            Some(pair) => pair,
            None => {
                pairs.push(Pair { dtypes, len: 0 });
                current.insert(dtypes, pairs.len() - 1);
                pairs.len() - 1
            }
        };
        let start = pairs[pair].len.next_multiple_of(alignment / narrow);
        pairs[pair].len = start + spec.len;
        places.push(Place { pair, start });
    }
    Ok((pairs, places))
}
