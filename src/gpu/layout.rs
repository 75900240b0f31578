//! The parts of an optimizer that its builder makes: the layout and the dispatches.

use std::ops::Range;

use bytemuck::pod_read_unaligned;
use wgpu::{BindGroup, Buffer, ComputePass, ComputePipeline};

use crate::config::options::Options;
use crate::plan::buffer_layout;
use crate::plan::buffer_layout::BufferLayout;
use crate::plan::clocks::ClockMap;
use crate::plan::region::Region;
use crate::state::contents::Outline;
use crate::tick::clock::{Clock, ClockHead, NONE};

/// What a report needs to speak of tensors by name, after the optimizer has moved on.
pub(crate) struct Layout {
    pub names: Vec<String>,
    pub lens: Vec<u64>,
    pub regions: Vec<Region>,
    /// Which regions are one dispatch of the update kernel, in ascending order.
    pub batches: Vec<Range<usize>>,
    /// For each region the number of its first partial.
    pub partials: Vec<u32>,
    pub clocks: ClockMap,
    pub options: Options,
}

/// One dispatch, ready to be recorded.
pub(crate) struct Dispatch {
    pub pipeline: ComputePipeline,
    pub bind_group: BindGroup,
    pub workgroups: [u32; 3],
}

impl Dispatch {
    pub fn record(&self, pass: &mut ComputePass) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}

/// What is remembered of one batch of regions, in the order of `Storage::state`. They are buffers of the batch's own, so
/// that wgpu puts no barrier between two dispatches.
pub(crate) type BatchState = Vec<Buffer>;

/// The bytes of the clock's buffer.
pub(crate) fn split_clock(bytes: &[u8]) -> (ClockHead, Vec<Clock>) {
    let (head, clocks) = bytes.split_at(size_of::<ClockHead>());
    (pod_read_unaligned(head), clocks.chunks_exact(size_of::<Clock>()).map(pod_read_unaligned).collect())
}

impl Layout {
    /// The regions of each batch.
    pub fn batched(&self) -> impl Iterator<Item = &[Region]> {
        self.batches.iter().map(|batch| &self.regions[batch.clone()])
    }

    /// Where the state are, in the order of the batches' buffers.
    pub fn buffer_layouts(&self) -> Vec<BufferLayout> {
        self.batched().flat_map(buffer_layout::buffer_layouts).collect()
    }

    /// What there is of each tensor.
    pub fn outlines(&self, buffer_layouts: &[BufferLayout]) -> Vec<Outline> {
        let tensors = self.names.iter().zip(&self.lens).zip(&self.clocks.of_tensor);
        let mut outlines: Vec<Outline> = tensors
            .map(|((name, &len), &clock)| Outline { name: name.clone(), clock, len, state: Vec::new() })
            .collect();
        for buffer_layout in buffer_layouts {
            for part in &buffer_layout.parts {
                let (end, state) = (part.first + part.bytes.end - part.bytes.start, &mut outlines[part.tensor].state);
                match state.iter_mut().find(|known| known.0 == part.kind) {
                    Some(known) => known.2 = known.2.max(end),
                    None => state.push((part.kind, part.dtype, end)),
                }
            }
        }
        outlines
    }

    pub(crate) fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        if partial == NONE {
            return None;
        }
        let region = self.partials.partition_point(|&first| first <= partial).checked_sub(1)?;
        let segment = self.regions[region].segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }
}
