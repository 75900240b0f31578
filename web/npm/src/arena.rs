//! The buffers of parameters and gradients. Tensors of the same dtypes lie in one buffer of parameters and, at the same
//! distances, in one of gradients, so that a step needs few dispatches.

use std::collections::BTreeMap;

use wasm_bindgen::JsError;
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};
use wgpu_adam::{Dtype, Tensor, View};

use crate::specs::TensorSpec;

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

/// What buffers to make.
pub struct Plan {
    specs: Vec<TensorSpec>,
    pairs: Vec<Pair>,
    places: Vec<Place>,
}

impl Plan {
    /// Makes the buffers, filled with zeros. `usage` is added to their usages.
    pub fn allocate(self, device: &Device, usage: BufferUsages) -> Vec<Tensor> {
        let usage = usage | BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let buffer = |label, size: u64| {
            let size = size.next_multiple_of(4);
            device.create_buffer(&BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let pairs = self.pairs.iter().map(|Pair { dtypes: (param, grad), len }| {
            (buffer("parameters", len * param.bytes()), buffer("gradients", len * grad.bytes()))
        });
        let pairs: Vec<(Buffer, Buffer)> = pairs.collect();
        let tensors = self.specs.into_iter().zip(self.places).map(|(spec, Place { pair, start })| {
            let (param, grad) = &pairs[pair];
            let view = |buffer, dtype| View::new(buffer, dtype).slice(start..start + spec.len);
            let (param, grad) = (view(param, spec.dtype), view(grad, spec.grad_dtype));
            Tensor::new(spec.name, param, grad).with_grad_scale(spec.grad_scale)
        });
        tensors.collect()
    }
}

/// Plans the buffers. A tensor begins where a binding may begin.
pub fn plan(device: &Device, specs: Vec<TensorSpec>) -> Result<Plan, JsError> {
    let limits = device.limits();
    let (max_bytes, alignment) = (limits.max_buffer_size, u64::from(limits.min_storage_buffer_offset_alignment));
    let (mut pairs, mut places): (Vec<Pair>, Vec<Place>) = Default::default();
    let mut current: BTreeMap<(Dtype, Dtype), usize> = BTreeMap::new();
    for TensorSpec { name, len, dtype, grad_dtype, .. } in &specs {
        let dtypes = (*dtype, *grad_dtype);
        let bytes = [dtype.bytes(), grad_dtype.bytes()];
        let (narrow, wide) = (bytes[0].min(bytes[1]), bytes[0].max(bytes[1]));
        let (step, max_len) = (alignment / narrow, max_bytes / wide);
        if *len > max_len {
            let message = format!(
                "tensor `{name}`: it has {len} elements of up to {wide} bytes, but a buffer of the device has at most \
                 {max_bytes} bytes (maxBufferSize)"
            );
            return Err(JsError::new(&message));
        }
        let fits = |pair: &usize| pairs[*pair].len.next_multiple_of(step) + len <= max_len;
        let pair = current.get(&dtypes).copied().filter(fits).unwrap_or(pairs.len());
        if pair == pairs.len() {
            pairs.push(Pair { dtypes, len: 0 });
            current.insert(dtypes, pair);
        }
        let start = pairs[pair].len.next_multiple_of(step);
        pairs[pair].len = start + len;
        places.push(Place { pair, start });
    }
    Ok(Plan { specs, pairs, places })
}
