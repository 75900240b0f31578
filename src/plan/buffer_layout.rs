//! Where the state of the tensors are in the optimizer's buffers. Pure: no GPU is needed to test it.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::dtype::Dtype;
use crate::config::rule::StateKind;
use crate::num::block8::BLOCK;
use crate::plan::region::{Region, Segment, Span};
use crate::state::contents::TensorState;

/// What one buffer holds of which tensors.
#[derive(Clone, Debug)]
pub(crate) struct BufferLayout {
    /// In ascending order. What is between them is of no tensor.
    pub parts: Vec<Part>,
}

/// Bytes of a buffer that are of one tensor, and what they are of it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub tensor: usize,
    pub kind: StateKind,
    pub dtype: Dtype,
    pub bytes: Range<u64>,
    /// Which byte of the tensor's memory is the first of them.
    pub first: u64,
}

/// The buffer_layouts in the buffers of a batch of regions, in the order of their rule's state.
pub(crate) fn buffer_layouts(batch: &[Region]) -> impl Iterator<Item = BufferLayout> {
    let storage = batch[0].storage;
    storage.state_kinds().map(move |kind| {
        let dtype = storage.dtype(kind);
        let part = |(segment, span): (&Segment, Span)| {
            let Range { start, end } = span.of_state();
            let bytes = start as u64 * dtype.bytes()..end as u64 * dtype.bytes();
            Part { tensor: segment.tensor, kind, dtype, bytes, first: segment.first * dtype.bytes() }
        };
        let mut parts: Vec<Part> = batch.iter().flat_map(Region::spans_of_segments).map(part).collect();
        if let Some(kind) = kind.scale().filter(|_| storage.in_blocks()) {
            let scales = parts.iter().map(|codes| scales_of(codes, kind, batch[0].first_scale));
            parts.append(&mut scales.collect());
        }
        BufferLayout { parts }
    })
}

/// Where the scales of those codes are: one for each block, behind all codes.
fn scales_of(codes: &Part, kind: StateKind, first_scale: u32) -> Part {
    let dtype = Dtype::F32;
    let scale = |block: u64| (u64::from(first_scale) + block) * dtype.bytes();
    let bytes = scale(codes.bytes.start / BLOCK)..scale(codes.bytes.end.div_ceil(BLOCK));
    Part { tensor: codes.tensor, kind, dtype, bytes, first: codes.first / BLOCK * dtype.bytes() }
}

/// Bytes to be copied from one of the buffers of before to one of those of now: which buffer, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyOp {
    pub from: (usize, u64),
    pub to: (usize, u64),
    pub bytes: u64,
}

/// The copies that carry all state over to other buffer_layouts, where `before` says which tensor of before one is.
pub(crate) fn copies(
    old: &[BufferLayout],
    new: &[BufferLayout],
    before: impl Fn(usize) -> Option<usize>,
) -> Vec<CopyOp> {
    let mut parts: HashMap<(usize, StateKind), Vec<(usize, &Part)>> = HashMap::new();
    for (buffer, buffer_layout) in old.iter().enumerate() {
        for part in &buffer_layout.parts {
            parts.entry((part.tensor, part.kind)).or_default().push((buffer, part));
        }
    }
    let mut copies = Vec::new();
    for (buffer, buffer_layout) in new.iter().enumerate() {
        for part in &buffer_layout.parts {
            let Some(tensor) = before(part.tensor) else { continue };
            for (from, old) in parts.get(&(tensor, part.kind)).into_iter().flatten() {
                let ends = |part: &Part| part.first + part.bytes.end - part.bytes.start;
                let (begin, end) = (part.first.max(old.first), ends(part).min(ends(old)));
                if begin < end {
                    let (source, target) = (old.bytes.start + begin - old.first, part.bytes.start + begin - part.first);
                    // Copies are of whole quads of 4 bytes, of which a narrow tensor shares none. In both buffers it begins
                    // at the same place in its quad, since that is the place of its param.
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
    /// The parts that reach into these bytes: where in the bytes and where in the tensor's memory.
    fn overlaps(&self, bytes: Range<u64>) -> impl Iterator<Item = (&Part, Range<usize>, Range<usize>)> {
        let behind = self.parts.partition_point(|part| part.bytes.end <= bytes.start);
        let reaching = self.parts[behind..].iter().take_while(move |part| part.bytes.start < bytes.end);
        reaching.map(move |part| {
            let (begin, end) = (part.bytes.start.max(bytes.start), part.bytes.end.min(bytes.end));
            let here = (begin - bytes.start) as usize..(end - bytes.start) as usize;
            let there = part.first + begin - part.bytes.start;
            (part, here, there as usize..(there + end - begin) as usize)
        })
    }

    /// Hands bytes of the buffer, from that one on, to the tensors. These have room for them.
    pub fn scatter(&self, at: u64, bytes: &[u8], tensors: &mut [TensorState]) {
        for (part, here, there) in self.overlaps(at..at + bytes.len() as u64) {
            for kind in tensors[part.tensor].state.iter_mut().filter(|m| m.kind == part.kind) {
                kind.bytes[there.clone()].copy_from_slice(&bytes[here.clone()]);
            }
        }
    }

    /// Adds those bytes of the buffer to `to`: of the tensors, which are found in the state in that order, and zeros between.
    pub fn gather(&self, bytes: Range<u64>, tensors: &[TensorState], order: &[usize], to: &mut Vec<u8>) {
        let base = to.len();
        to.resize(base + (bytes.end - bytes.start) as usize, 0);
        for (part, here, there) in self.overlaps(bytes) {
            for kind in tensors[order[part.tensor]].state.iter().filter(|m| m.kind == part.kind) {
                to[base + here.start..base + here.end].copy_from_slice(&kind.bytes[there.clone()]);
            }
        }
    }
}
