//! Makes the buffers of the state.

use bytemuck::cast_slice;
use wgpu::{BufferUsages, Device};

use crate::config::dtype::Dtype;
use crate::config::rule::StateKind;
use crate::error::Error;
use crate::gpu::buffers::{empty, filled};
use crate::gpu::layout::BatchState;
use crate::num::block8::UNSIGNED;
use crate::num::half::nearest_bf16;
use crate::plan::clocks::Registry;
use crate::plan::region::{Region, Segment};

/// Makes the state buffers of a batch. A new wgpu buffer is zero. Some second moments begin with another value.
pub(crate) fn state_buffers(device: &Device, registry: &Registry, batch: &[Region]) -> Result<BatchState, Error> {
    let storage = batch[0].storage;
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let initial = |segment: &Segment| registry.config(segment.clock as usize).variant.initial();
    let state_kinds = storage.state_kinds().map(|kind| {
        let element = storage.dtype(kind);
        let elements: u64 = batch.iter().map(|region| region.state_elements(kind)).sum();
        let mut segments = batch.iter().flat_map(|region| &region.segments);
        if kind != StateKind::V || segments.all(|segment| initial(segment) == 0.0) {
            let scales = batch.iter().map(|region| storage.scale(kind).map_or(0, |_| u64::from(region.scales())));
            return Ok(empty(device, kind.name(), usage, elements * element.bytes() + 4 * scales.sum::<u64>()));
        }
        let mut values = vec![0.0; elements as usize];
        if batch[0].rows.is_some() {
            values.fill(initial(&batch[0].segments[0]));
        } else {
            for (segment, span) in batch.iter().flat_map(Region::spans_of_segments) {
                values[span.of_state()].fill(initial(segment));
            }
        }
        if element == Dtype::Bf16 {
            let halves: Vec<u16> = values.iter().map(|x| (nearest_bf16(*x).to_bits() >> 16) as u16).collect();
            return filled(device, kind.name(), usage, cast_slice(&halves));
        }
        if element == Dtype::U8 {
            let mut bytes = UNSIGNED.codes(&values, values.len());
            match &batch[0].rows {
                Some(_) => bytes.extend(UNSIGNED.scale(&values[..1]).to_le_bytes().repeat(batch[0].scales() as usize)),
                None => bytes.extend(UNSIGNED.scales(&values, values.len()).flat_map(f32::to_le_bytes)),
            }
            return filled(device, kind.name(), usage, &bytes);
        }
        filled(device, kind.name(), usage, cast_slice(&values))
    });
    state_kinds.collect()
}
