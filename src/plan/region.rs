//! A region: what one dispatch of the update kernel (and one of the norm kernel) does, or a part of it where several are
//! batched, and who does what in it. Twin of `region.wgsl`.
//!
//! It binds one window of a param buffer and one of a grad buffer, and counts **quads** of 4 elements from the param window's
//! beginning. Where the grads are not aligned with the params, or the last quad is not all inside its buffer, the region is
//! **unaligned**: its quads are loaded and stored element by element.

use crate::config::precision::{Master, StateDtype};
use crate::num::block8::BLOCK;
use crate::num::mirror::mirror;
use crate::num::noise::mixed;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::storage::Storage;

/// Of the update kernel: as fast as 256 where there is much to do, and a small tensor keeps few of them idle.
pub(crate) const UPDATE_WORKGROUP: u64 = 64;
/// Words that one invocation of the update kernel owns: measured, as all of these, see `benches/NOTES.md`.
pub(crate) const UPDATE_QUADS: u64 = 4;
/// Words of a tile of the update kernel: of 16 invocations.
pub(crate) const UPDATE_TILE: u64 = 64;
/// Pieces that a workgroup of the update kernel owns.
pub(crate) const TILES_A_WORKGROUP: u64 = UPDATE_WORKGROUP * UPDATE_QUADS / UPDATE_TILE;
/// Words that one invocation of the norm kernel reads.
pub(crate) const NORM_QUADS: u64 = 16;
/// Words of a tile of the norm kernel: of a workgroup.
pub(crate) const NORM_TILE: u64 = WORKGROUP * NORM_QUADS;
/// Bytes of a quad of the state, at most: of f32.
pub(crate) const QUAD_BYTES: u64 = 4 * LANES;
/// Words of a block that has a scale of its own.
pub(crate) const BLOCK_QUADS: u32 = (BLOCK / LANES) as u32;
const _: () = assert!(BLOCK_QUADS as u64 == UPDATE_TILE, "a tile is a block: its scale is found by its sharers");

/// Bytes of a buffer to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}

/// A part of a region that belongs to one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Elements `begin..end` of the region.
    pub begin: u32,
    pub end: u32,
    pub clock: u32,
    pub tensor: usize,
    /// Which element of the tensor is at `begin`.
    pub first: u64,
}

/// What one dispatch can do with two windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    pub storage: Storage,
    pub grad_scale: f32,
    pub param: Window,
    pub grad: Window,
    /// Words are loaded and stored element by element.
    pub unaligned: bool,
    /// What to add (modulo 2^32) to a quad of the param window to get that of the grad window; where the region is unaligned, to
    /// an element.
    pub grad_shift: u32,
    /// In ascending order, at least one. Elements between them are not touched.
    pub segments: Vec<Segment>,
    /// The first quad of its state in the batch's buffers.
    pub state: u32,
    /// Where the state is in blocks: which 4 bytes of a memory's buffer are the first scale, behind all codes.
    pub first_scale: u32,
}

/// Elements `begin..end` of a region, all of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub begin: u32,
    pub end: u32,
    pub clock: u32,
    /// What to add (modulo 2^32) to a quad to get that of the state, which the spans have one behind the other.
    pub shift: u32,
}

mirror! {
    /// What a workgroup owns, or a part of one: those elements of `begin..end` that are in its quads, of which `quad` is the
    /// first. The layout is `Tile` in `region.wgsl`.
    #[derive(Eq)]
    pub(crate) struct Tile {
        pub quad: u32,
        pub begin: u32,
        pub end: u32,
        pub clock: u32,
        pub shift: u32,
    }
}

impl Span {
    /// Its elements in the state.
    pub fn of_state(&self) -> std::ops::Range<usize> {
        let shift = self.shift.wrapping_mul(LANES as u32);
        self.begin.wrapping_add(shift) as usize..self.end.wrapping_add(shift) as usize
    }
}

impl Segment {
    fn span(&self) -> Span {
        Span { begin: self.begin, end: self.end, clock: self.clock, shift: 0 }
    }

    /// Its tensor, and how many elements of it are here.
    pub fn part(&self) -> (usize, u64) {
        (self.tensor, (self.end - self.begin).into())
    }
}

impl Region {
    /// The spans of the update kernel: neighbours of one clock are one.
    pub fn update_spans(&self) -> Vec<Span> {
        // Where the state is narrow, no two tensors share its quads: they can then be copied by themselves.
        let joins = self.storage.state == StateDtype::F32 && self.storage.master != Master::Remainder;
        let mut spans = self.spans(|a, b| joins && a.clock == b.clock);
        let mut state = self.state;
        for span in &mut spans {
            let quads = quads_of(span.begin, span.end);
            span.shift = state.wrapping_sub(quads.start);
            state += self.whole_blocks(quads.len() as u32);
        }
        spans
    }

    /// Words of the state: those of the spans, each span's whole and its own, and of whole blocks where it is in blocks.
    pub fn state_quads(&self) -> u32 {
        let end = |span: &Span| quads_of(span.begin, span.end).end.wrapping_add(span.shift);
        self.whole_blocks(self.update_spans().last().map_or(self.state, end)) - self.state
    }

    fn whole_blocks(&self, quads: u32) -> u32 {
        if self.storage.in_blocks() { quads.next_multiple_of(BLOCK_QUADS) } else { quads }
    }

    /// Scales of a memory.
    pub fn scales(&self) -> u32 {
        if self.storage.in_blocks() { self.state_quads() / BLOCK_QUADS } else { 0 }
    }

    /// The update's span of each segment.
    pub fn spans_of_segments(&self) -> impl Iterator<Item = (&Segment, Span)> {
        let spans = self.update_spans();
        self.segments.iter().map(move |segment| {
            let span = spans[spans.partition_point(|span| span.end <= segment.begin)];
            (segment, Span { begin: segment.begin, end: segment.end, ..span })
        })
    }

    /// The spans of the norm kernel: neighbours are one, whatever the clock.
    pub fn norm_spans(&self) -> Vec<Span> {
        self.spans(|_, _| true)
    }

    fn spans(&self, joins: impl Fn(&Span, &Segment) -> bool) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for segment in &self.segments {
            match spans.last_mut() {
                Some(last) if last.end == segment.begin && joins(last, segment) => last.end = segment.end,
                _ => spans.push(segment.span()),
            }
        }
        spans
    }

    /// Each span cut into tiles of so many quads.
    pub fn tiles(&self, spans: &[Span], quads: u64) -> Vec<Tile> {
        let tiles = spans.iter().flat_map(|span| {
            let Span { begin, end, clock, shift } = *span;
            let firsts = quads_of(begin, end).step_by(quads as usize);
            firsts.map(move |quad| Tile { quad, begin, end, clock, shift })
        });
        tiles.collect()
    }

    /// What its noise begins with.
    pub fn stream_seed(&self, number: usize, seed: u32) -> u32 {
        mixed(seed ^ mixed(number as u32))
    }

    /// How many that are.
    pub fn count_tiles(&self, spans: &[Span], quads: u64) -> u64 {
        spans.iter().map(|span| (quads_of(span.begin, span.end).len() as u64).div_ceil(quads)).sum()
    }

    /// Whether a span begins or ends within a quad.
    pub fn edges(&self, spans: &[Span]) -> bool {
        spans.iter().any(|s| !s.begin.is_multiple_of(LANES as u32) || !s.end.is_multiple_of(LANES as u32))
    }
}

/// The quads of which some element is in `begin..end`.
fn quads_of(begin: u32, end: u32) -> std::ops::Range<u32> {
    begin / LANES as u32..end.div_ceil(LANES as u32)
}
