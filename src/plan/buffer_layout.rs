//! Where the state of each tensor lies in the optimizer's buffers. Pure functions: no GPU is needed to test them.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::dtype::Dtype;
use crate::config::rule::StateKind;
use crate::num::block8::BLOCK;
use crate::plan::region::{Region, Segment, Span};
use crate::state::contents::TensorState;

/// The contents of one buffer.
#[derive(Clone, Debug)]
pub(crate) struct BufferLayout {
    /// In ascending order. The bytes between two extents belong to no tensor.
    pub extents: Vec<Extent>,
}

/// Bytes of a buffer that belong to one state tensor.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub tensor: usize,
    pub kind: StateKind,
    pub dtype: Dtype,
    /// The bytes in the buffer.
    pub bytes: Range<u64>,
    /// The offset of the first of these bytes in the state tensor.
    pub first: u64,
}

impl Extent {
    /// The offset of the end of these bytes in the state tensor.
    pub fn end(&self) -> u64 {
        self.first + self.bytes.end - self.bytes.start
    }
}

/// The layouts of the buffers of a batch of regions, in the order of their rule's state.
pub(crate) fn buffer_layouts(batch: &[Region]) -> impl Iterator<Item = BufferLayout> {
    let storage = batch[0].storage;
    storage.state_kinds().map(move |kind| {
        let dtype = storage.dtype(kind);
        let extent = |(segment, span): (&Segment, Span)| {
            let Range { start, end } = span.of_state();
            let bytes = start as u64 * dtype.bytes()..end as u64 * dtype.bytes();
            Extent { tensor: segment.tensor, kind, dtype, bytes, first: segment.first * dtype.bytes() }
        };
        let mut extents: Vec<Extent> = batch.iter().flat_map(Region::spans_of_segments).map(extent).collect();
        if let Some(kind) = kind.scale().filter(|_| storage.in_blocks()) {
            let scales = extents.iter().map(|codes| scales_of(codes, kind, batch[0].first_scale));
            extents.append(&mut scales.collect());
        }
        BufferLayout { extents }
    })
}

/// The extent of the scales of these codes: one scale for each block. All scales follow all codes.
fn scales_of(codes: &Extent, kind: StateKind, first_scale: u32) -> Extent {
    let dtype = Dtype::F32;
    let scale = |block: u64| (u64::from(first_scale) + block) * dtype.bytes();
    let bytes = scale(codes.bytes.start / BLOCK)..scale(codes.bytes.end.div_ceil(BLOCK));
    Extent { tensor: codes.tensor, kind, dtype, bytes, first: codes.first / BLOCK * dtype.bytes() }
}

/// A copy from an old buffer to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyOp {
    /// The old buffer's number, and an offset in it.
    pub from: (usize, u64),
    /// The new buffer's number, and an offset in it.
    pub to: (usize, u64),
    pub bytes: u64,
}

/// The copies that move all state from the old buffers to the new ones. `before` returns the old number of a tensor.
pub(crate) fn copies(
    old: &[BufferLayout],
    new: &[BufferLayout],
    before: impl Fn(usize) -> Option<usize>,
) -> Vec<CopyOp> {
    let mut old_extents: HashMap<(usize, StateKind), Vec<(usize, &Extent)>> = HashMap::new();
    for (buffer, buffer_layout) in old.iter().enumerate() {
        for extent in &buffer_layout.extents {
            old_extents.entry((extent.tensor, extent.kind)).or_default().push((buffer, extent));
        }
    }
    let mut copies = Vec::new();
    for (buffer, buffer_layout) in new.iter().enumerate() {
        for extent in &buffer_layout.extents {
            let Some(tensor) = before(extent.tensor) else { continue };
            for (from, old) in old_extents.get(&(tensor, extent.kind)).into_iter().flatten() {
                let begin = extent.first.max(old.first);
                let end = extent.end().min(old.end());
                if begin < end {
                    let source = old.bytes.start + begin - old.first;
                    let target = extent.bytes.start + begin - extent.first;
                    // Copies move whole units of 4 bytes. No narrow tensor shares such a unit with another, and it
                    // begins at the same place in a unit in both buffers, since its param determines that place.
                    let lead = source % 4;
                    let bytes = (lead + end - begin).next_multiple_of(4);
                    copies.push(CopyOp { from: (*from, source - lead), to: (buffer, target - lead), bytes });
                }
            }
        }
    }
    copies
}

impl BufferLayout {
    /// The extents that overlap these bytes of the buffer, each with the overlap in `bytes` and the overlap in the
    /// state tensor.
    fn overlaps(&self, bytes: Range<u64>) -> impl Iterator<Item = (&Extent, Range<usize>, Range<usize>)> {
        let behind = self.extents.partition_point(|extent| extent.bytes.end <= bytes.start);
        let overlapping = self.extents[behind..].iter().take_while(move |extent| extent.bytes.start < bytes.end);
        overlapping.map(move |extent| {
            let begin = extent.bytes.start.max(bytes.start);
            let end = extent.bytes.end.min(bytes.end);
            let here = (begin - bytes.start) as usize..(end - bytes.start) as usize;
            let there = extent.first + begin - extent.bytes.start;
            (extent, here, there as usize..(there + end - begin) as usize)
        })
    }

    /// Copies bytes of the buffer, which begin at the offset `at`, to the tensors. The tensors already have the right
    /// sizes.
    pub fn scatter(&self, at: u64, bytes: &[u8], tensors: &mut [TensorState]) {
        for (extent, here, there) in self.overlaps(at..at + bytes.len() as u64) {
            for state_tensor in tensors[extent.tensor].state.iter_mut().filter(|s| s.kind == extent.kind) {
                state_tensor.bytes[there.clone()].copy_from_slice(&bytes[here.clone()]);
            }
        }
    }

    /// Appends these bytes of the buffer to `to`, taken from the tensors, with zeros between them. `order` gives the
    /// place of each tensor in `tensors`.
    pub fn gather(&self, bytes: Range<u64>, tensors: &[TensorState], order: &[usize], to: &mut Vec<u8>) {
        let base = to.len();
        to.resize(base + (bytes.end - bytes.start) as usize, 0);
        for (extent, here, there) in self.overlaps(bytes) {
            for state_tensor in tensors[order[extent.tensor]].state.iter().filter(|s| s.kind == extent.kind) {
                to[base + here.start..base + here.end].copy_from_slice(&state_tensor.bytes[there.clone()]);
            }
        }
    }
}
