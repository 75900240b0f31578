//! The layout of an optimizer, which the builder makes.

use std::ops::Range;

use bytemuck::pod_read_unaligned;
use wgpu::Buffer;

use crate::config::options::Options;
use crate::plan::buffer_layout;
use crate::plan::buffer_layout::BufferLayout;
use crate::plan::clocks::{ClockMap, Registry};
use crate::plan::region::Region;
use crate::plan::rescales::Rescales;
use crate::plan::units::Units;
use crate::state::contents::Outline;
use crate::tick::clock::{Clock, ClockHead, NONE};
use crate::tick::settings::Settings;

/// Where the tensors lie in the optimizer's buffers. Reports keep it, since they may outlive a change of the tensors.
pub(crate) struct Layout {
    pub names: Vec<String>,
    pub lens: Vec<u64>,
    /// The width of the rows of each tensor of rows.
    pub widths: Vec<Option<u32>>,
    pub regions: Vec<Region>,
    /// The batches of the update kernel, in ascending order.
    pub batches: Vec<Range<usize>>,
    /// The number of the first partial of each region.
    pub partials: Vec<u32>,
    pub clocks: ClockMap,
    /// The units, if any group is clipped by a norm of its own.
    pub units: Option<Units>,
    /// What the factors of steps are made of.
    pub rescales: Rescales,
    /// Whether gradients are clipped by value, parameters are clamped or their decay is masked.
    pub limits: bool,
    pub options: Options,
}

/// The state buffers of one batch of regions, in the order of `Storage::state_kinds`. They are separately allocated for
/// each batch, so that wgpu puts no barrier between two dispatches.
pub(crate) type BatchState = Vec<Buffer>;

/// Reads the bytes of the clock's buffer.
pub(crate) fn split_clock(bytes: &[u8]) -> (ClockHead, Vec<Clock>) {
    let (head, clocks) = bytes.split_at(size_of::<ClockHead>());
    (pod_read_unaligned(head), clocks.chunks_exact(size_of::<Clock>()).map(pod_read_unaligned).collect())
}

impl Layout {
    /// The settings of each clock.
    pub fn settings(&self, registry: &Registry) -> Vec<Settings> {
        let mut settings = registry.scheduled().0;
        self.units.iter().for_each(|units| units.assign(&mut settings));
        settings
    }

    /// Whether a step begins with a pass over all gradients.
    pub fn reads_norm(&self) -> bool {
        self.options.reads_norm() || self.units.is_some()
    }

    /// The regions of each batch.
    pub fn batched(&self) -> impl Iterator<Item = &[Region]> {
        self.batches.iter().map(|batch| &self.regions[batch.clone()])
    }

    /// The layouts of the state buffers, in the order of the batches and their buffers.
    pub fn buffer_layouts(&self) -> Vec<BufferLayout> {
        self.batched().flat_map(buffer_layout::buffer_layouts).collect()
    }

    /// The outline of each tensor's state.
    pub fn outlines(&self, buffer_layouts: &[BufferLayout]) -> Vec<Outline> {
        let tensors = self.names.iter().zip(&self.lens).zip(&self.widths).zip(&self.clocks.of_tensor);
        let mut outlines: Vec<Outline> = tensors
            .map(|(((name, &len), &width), &clock)| Outline {
                name: name.clone(),
                clock,
                len,
                width,
                state: Vec::new(),
            })
            .collect();
        for buffer_layout in buffer_layouts {
            for extent in &buffer_layout.extents {
                let end = extent.unpadded(extent.end());
                let state = &mut outlines[extent.tensor].state;
                match state.iter_mut().find(|known| known.0 == extent.kind) {
                    Some(known) => known.2 = known.2.max(end),
                    None => state.push((extent.kind, extent.dtype, end)),
                }
            }
        }
        outlines
    }

    /// The name of the tensor with this element, in the region that has this partial.
    pub(crate) fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        if partial == NONE {
            return None;
        }
        let firsts = self.partials.iter().enumerate().filter(|(_, first)| **first <= partial);
        let (region, _) = firsts.max_by_key(|(_, first)| **first)?;
        let segment = self.regions[region].segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }
}
