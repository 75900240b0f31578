//! Where the state of each tensor lies in the optimizer's buffers. Pure functions: no GPU is needed to test them.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::dtype::Dtype;
use crate::config::rule::StateKind;
use crate::num::block8::BLOCK;
use crate::plan::region::{Region, Segment, Span};
use crate::plan::rows::RowsRegion;
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
    /// The offset of the first of these bytes in the state tensor, with the padding of its rows.
    pub first: u64,
    /// The bytes of a row in the buffer, and in the state tensor, if rows are padded.
    pub row: Option<(u64, u64)>,
}

impl Extent {
    /// The offset of the end of these bytes in the state tensor.
    pub fn end(&self) -> u64 {
        self.first + self.bytes.end - self.bytes.start
    }

    /// An offset in the state tensor without the padding of its rows.
    pub fn unpadded(&self, at: u64) -> u64 {
        self.row.map_or(at, |(padded, bytes)| at / padded * bytes + (at % padded).min(bytes))
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
            Extent { tensor: segment.tensor, kind, dtype, bytes, first: segment.first * dtype.bytes(), row: None }
        };
        if let Some(rows) = &batch[0].rows {
            return BufferLayout { extents: extents_of_rows(&batch[0], rows, kind) };
        }
        let mut extents: Vec<Extent> = batch.iter().flat_map(Region::spans_of_segments).map(extent).collect();
        if let Some(kind) = storage.scale(kind) {
            let scales = extents.iter().map(|codes| scales_of(codes, kind, batch[0].first_scale));
            extents.append(&mut scales.collect());
        }
        BufferLayout { extents }
    })
}

/// The extents of a region of rows, which has a buffer of its own.
fn extents_of_rows(region: &Region, rows: &RowsRegion, kind: StateKind) -> Vec<Extent> {
    let storage = region.storage;
    let tensor = region.segments[0].tensor;
    let extent = |kind, dtype: Dtype, begin: u64, padded: u64, dense: u64| {
        let [padded, dense] = [padded, dense].map(|elements| elements * dtype.bytes());
        let bytes = begin..begin + u64::from(rows.count) * padded;
        let row = (padded != dense).then_some((padded, dense));
        Extent { tensor, kind, dtype, bytes, first: u64::from(rows.first) * padded, row }
    };
    let dtype = storage.dtype(kind);
    if storage.is_per_row(kind) {
        return vec![extent(kind, dtype, 0, 1, 1)];
    }
    let elements = extent(kind, dtype, 0, rows.state_stride.into(), rows.width.into());
    let blocks = rows.blocks().into();
    let scales = storage.scale(kind).map(|kind| {
        let begin = u64::from(region.first_scale) * Dtype::F32.bytes();
        extent(kind, Dtype::F32, begin, blocks, blocks)
    });
    [Some(elements), scales].into_iter().flatten().collect()
}

/// The extent of the scales of these codes: one scale for each block. All scales follow all codes.
fn scales_of(codes: &Extent, kind: StateKind, first_scale: u32) -> Extent {
    let dtype = Dtype::F32;
    let scale = |block: u64| (u64::from(first_scale) + block) * dtype.bytes();
    let bytes = scale(codes.bytes.start / BLOCK)..scale(codes.bytes.end.div_ceil(BLOCK));
    Extent { tensor: codes.tensor, kind, dtype, bytes, first: codes.first / BLOCK * dtype.bytes(), row: None }
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
        overlapping.flat_map(move |extent| {
            let begin = extent.bytes.start.max(bytes.start);
            let end = extent.bytes.end.min(bytes.end);
            // Padded rows are copied one by one, and others together.
            let (padded, dense) = extent.row.unwrap_or((u64::MAX, u64::MAX));
            let first = extent.bytes.start;
            let rows = (begin - first) / padded..(end - first).div_ceil(padded);
            let bytes = bytes.start;
            rows.filter_map(move |row| {
                let from = begin.max(first + row.saturating_mul(padded));
                let to = end.min((first + row.saturating_mul(padded)).saturating_add(dense));
                let there = extent.unpadded(extent.first + from - first);
                (from < to).then(|| {
                    let here = (from - bytes) as usize..(to - bytes) as usize;
                    (extent, here, there as usize..(there + to - from) as usize)
                })
            })
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
