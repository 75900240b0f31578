//! The parts of an optimizer that its builder makes: the layout and the dispatches.

use std::ops::Range;

use bytemuck::pod_read_unaligned;
use wgpu::{BindGroup, Buffer, ComputePass, ComputePipeline};

use crate::config::options::Options;
use crate::plan::buffer_layout;
use crate::plan::buffer_layout::Home;
use crate::plan::clocks::Clocks;
use crate::plan::region::Launch;
use crate::state::contents::Outline;
use crate::tick::clock::{ClockHead, GroupClock, NONE};

/// What a report needs to speak of tensors by name, after the optimizer has moved on.
pub(crate) struct Shared {
    pub names: Vec<String>,
    pub lens: Vec<u64>,
    pub launches: Vec<Launch>,
    /// Which launches are one dispatch of the update kernel, in ascending order.
    pub bundles: Vec<Range<usize>>,
    /// For each launch the number of its first partial.
    pub partials: Vec<u32>,
    pub clocks: Clocks,
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

/// What is remembered of one bundle of launches, in the order of `Kind::memories`. They are buffers of the bundle's own, so
/// that wgpu puts no barrier between two dispatches.
pub(crate) type BundleState = Vec<Buffer>;

/// The bytes of the clock's buffer.
pub(crate) fn split_clock(bytes: &[u8]) -> (ClockHead, Vec<GroupClock>) {
    let (head, clocks) = bytes.split_at(size_of::<ClockHead>());
    (pod_read_unaligned(head), clocks.chunks_exact(size_of::<GroupClock>()).map(pod_read_unaligned).collect())
}

impl Shared {
    /// The launches of each bundle.
    pub fn bundled(&self) -> impl Iterator<Item = &[Launch]> {
        self.bundles.iter().map(|bundle| &self.launches[bundle.clone()])
    }

    /// Where the memories are, in the order of the bundles' buffers.
    pub fn homes(&self) -> Vec<Home> {
        self.bundled().flat_map(buffer_layout::homes).collect()
    }

    /// What there is of each tensor.
    pub fn outlines(&self, homes: &[Home]) -> Vec<Outline> {
        let tensors = self.names.iter().zip(&self.lens).zip(&self.clocks.of_tensor);
        let mut outlines: Vec<Outline> = tensors
            .map(|((name, &len), &clock)| Outline { name: name.clone(), clock, len, memories: Vec::new() })
            .collect();
        for home in homes {
            for part in &home.parts {
                let (end, memories) =
                    (part.first + part.bytes.end - part.bytes.start, &mut outlines[part.tensor].memories);
                match memories.iter_mut().find(|known| known.0 == part.memory) {
                    Some(known) => known.2 = known.2.max(end),
                    None => memories.push((part.memory, part.format, end)),
                }
            }
        }
        outlines
    }

    pub(crate) fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        if partial == NONE {
            return None;
        }
        let launch = self.partials.partition_point(|&first| first <= partial).checked_sub(1)?;
        let segment = self.launches[launch].segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }
}
