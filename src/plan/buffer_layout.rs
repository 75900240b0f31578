//! Where the memories of the tensors are in the optimizer's buffers. Pure: no GPU is needed to test it.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::dtype::Element;
use crate::config::rule::Memory;
use crate::num::block8::BLOCK;
use crate::plan::region::{Launch, Segment, Span};
use crate::state::contents::TensorState;

/// What one buffer holds of which tensors.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// In ascending order. What is between them is of no tensor.
    pub parts: Vec<Part>,
}

/// Bytes of a buffer that are of one tensor, and what they are of it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub tensor: usize,
    pub memory: Memory,
    pub format: Element,
    pub bytes: Range<u64>,
    /// Which byte of the tensor's memory is the first of them.
    pub first: u64,
}

/// The homes in the buffers of a bundle of launches, in the order of their rule's memories.
pub(crate) fn homes(bundle: &[Launch]) -> impl Iterator<Item = Home> {
    let kind = bundle[0].kind;
    kind.memories().map(move |memory| {
        let format = kind.element(memory);
        let part = |(segment, span): (&Segment, Span)| {
            let Range { start, end } = span.of_state();
            let bytes = start as u64 * format.bytes()..end as u64 * format.bytes();
            Part { tensor: segment.tensor, memory, format, bytes, first: segment.first * format.bytes() }
        };
        let mut parts: Vec<Part> = bundle.iter().flat_map(Launch::spans_of_segments).map(part).collect();
        if let Some(memory) = memory.scale().filter(|_| kind.in_blocks()) {
            let scales = parts.iter().map(|codes| scales_of(codes, memory, bundle[0].first_scale));
            parts.append(&mut scales.collect());
        }
        Home { parts }
    })
}

/// Where the scales of those codes are: one for each block, behind all codes.
fn scales_of(codes: &Part, memory: Memory, first_scale: u32) -> Part {
    let format = Element::F32;
    let scale = |block: u64| (u64::from(first_scale) + block) * format.bytes();
    let bytes = scale(codes.bytes.start / BLOCK)..scale(codes.bytes.end.div_ceil(BLOCK));
    Part { tensor: codes.tensor, memory, format, bytes, first: codes.first / BLOCK * format.bytes() }
}

/// Bytes to be copied from one of the buffers of before to one of those of now: which buffer, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carry {
    pub from: (usize, u64),
    pub to: (usize, u64),
    pub bytes: u64,
}

/// The copies that carry all memories over to other homes, where `before` says which tensor of before one is.
pub(crate) fn carried(old: &[Home], new: &[Home], before: impl Fn(usize) -> Option<usize>) -> Vec<Carry> {
    let mut parts: HashMap<(usize, Memory), Vec<(usize, &Part)>> = HashMap::new();
    for (buffer, home) in old.iter().enumerate() {
        for part in &home.parts {
            parts.entry((part.tensor, part.memory)).or_default().push((buffer, part));
        }
    }
    let mut copies = Vec::new();
    for (buffer, home) in new.iter().enumerate() {
        for part in &home.parts {
            let Some(tensor) = before(part.tensor) else { continue };
            for (from, old) in parts.get(&(tensor, part.memory)).into_iter().flatten() {
                let ends = |part: &Part| part.first + part.bytes.end - part.bytes.start;
                let (begin, end) = (part.first.max(old.first), ends(part).min(ends(old)));
                if begin < end {
                    let (source, target) = (old.bytes.start + begin - old.first, part.bytes.start + begin - part.first);
                    // Copies are of whole words of 4 bytes, of which a narrow tensor shares none. In both buffers it begins
                    // at the same place in its word, since that is the place of its param.
                    let lead = source % 4;
                    let bytes = (lead + end - begin).next_multiple_of(4);
                    copies.push(Carry { from: (*from, source - lead), to: (buffer, target - lead), bytes });
                }
            }
        }
    }
    copies
}

impl Home {
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
            for memory in tensors[part.tensor].memories.iter_mut().filter(|m| m.memory == part.memory) {
                memory.bytes[there.clone()].copy_from_slice(&bytes[here.clone()]);
            }
        }
    }

    /// Adds those bytes of the buffer to `to`: of the tensors, which are found in the state in that order, and zeros between.
    pub fn gather(&self, bytes: Range<u64>, tensors: &[TensorState], order: &[usize], to: &mut Vec<u8>) {
        let base = to.len();
        to.resize(base + (bytes.end - bytes.start) as usize, 0);
        for (part, here, there) in self.overlaps(bytes) {
            for memory in tensors[order[part.tensor]].memories.iter().filter(|m| m.memory == part.memory) {
                to[base + here.start..base + here.end].copy_from_slice(&memory.bytes[there.clone()]);
            }
        }
    }
}
