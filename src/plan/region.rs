//! A region: the tensors that one dispatch, or a part of one, steps together; and the tiles of its workgroups. Twin of
//! `region.wgsl`.
//!
//! A region binds one window of a param buffer and one window of a grad buffer. It counts **quads** of 4 elements from
//! the beginning of the param window. If the grads are not aligned with the params, or the last quad is not entirely
//! inside its buffer, the region is **unaligned**: its quads are loaded and stored element by element.

use crate::config::precision::{Master, Rounding, StateDtype};
use crate::config::rule::StateKind;
use crate::num::block8::BLOCK;
use crate::num::mirror::mirror;
use crate::num::order::order;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::clocks::ClockMap;
use crate::plan::rows::{INSIGHT_SLOTS, NORM_SLOTS, RowsRegion};
use crate::plan::storage::Storage;
use crate::plan::window::Window;

/// Invocations in a workgroup of the update kernel. 64 are as fast as 256 on large tensors, and a small tensor leaves
/// fewer of them idle. All of these sizes are measured: see `benches/NOTES.md`.
pub(crate) const UPDATE_WORKGROUP: u64 = 64;
/// Quads per invocation of the update kernel.
pub(crate) const UPDATE_QUADS: u64 = 4;
/// Quads in a tile of the update kernel, which 16 invocations share.
pub(crate) const UPDATE_TILE: u64 = 64;
/// Tiles per workgroup of the update kernel.
pub(crate) const TILES_A_WORKGROUP: u64 = UPDATE_WORKGROUP * UPDATE_QUADS / UPDATE_TILE;
/// Quads per invocation of the norm kernel.
pub(crate) const NORM_QUADS: u64 = 16;
/// Quads in a tile of the norm kernel, which a workgroup shares.
pub(crate) const NORM_TILE: u64 = WORKGROUP * NORM_QUADS;
/// Quads per invocation of the probe.
pub(crate) const INSIGHT_QUADS: u64 = 8;
/// Quads in a tile of the probe.
const INSIGHT_TILE: u64 = WORKGROUP * INSIGHT_QUADS;
const _: () = assert!(NORM_SLOTS as u64 == NORM_TILE && INSIGHT_SLOTS as u64 == INSIGHT_TILE, "a slot is a quad");
/// The most bytes in a quad of a state tensor: those of f32.
pub(crate) const QUAD_BYTES: u64 = 4 * LANES;
/// Quads in an 8-bit block.
pub(crate) const BLOCK_QUADS: u32 = (BLOCK / LANES) as u32;
const _: () = assert!(BLOCK_QUADS as u64 == UPDATE_TILE, "a tile is a block: its scale is found by its sharers");

/// Neighbouring elements of a region that belong to one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Elements `begin..end` of the region.
    pub begin: u32,
    pub end: u32,
    pub clock: u32,
    pub tensor: usize,
    /// The number of the tensor's element at `begin`.
    pub first: u64,
    /// The seed of the tensor's noise.
    pub stream_seed: u32,
    /// Segments with the same number may share a tile of the norm.
    pub share: u32,
}

/// Tensors that are stepped together through one pair of windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    pub storage: Storage,
    pub grad_scale: f32,
    pub param: Window,
    pub grad: Window,
    /// Quads are loaded and stored element by element.
    pub unaligned: bool,
    /// Added (modulo 2^32) to the number of a quad in the param window, it gives the number in the grad window. If the
    /// region is unaligned, it is added to the number of an element.
    pub grad_shift: u32,
    /// At least one, in ascending order. Elements between them are not touched.
    pub segments: Vec<Segment>,
    /// The first quad of its state in the batch's buffers.
    pub state: u32,
    /// The place of the first scale in a buffer of 8-bit codes, in units of 32 bits. The scales follow all codes.
    pub first_scale: u32,
    /// Its rows, if it is of a tensor of rows, which shares it with no other tensor.
    pub rows: Option<RowsRegion>,
}

/// Elements `begin..end` of a region, all of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub begin: u32,
    pub end: u32,
    pub clock: u32,
    /// Added (modulo 2^32) to the number of a quad, it gives the quad of the state, which has no gaps between the
    /// spans.
    pub shift: u32,
    /// Added (modulo 2^32) to an element's number in the state, it gives the element's seed for the noise: its number
    /// in its tensor, and the seed of the tensor. Meaningless if several tensors share the span, which then has no
    /// noise.
    pub stream_seed: u32,
    /// Segments with the same number may share a tile of the norm.
    pub share: u32,
}

mirror! {
    /// The elements that a workgroup, or a part of one, owns: those of `begin..end` that are in its quads, the first of
    /// which is `quad`. `Tile` in `region.wgsl`.
    #[derive(Eq)]
    pub(crate) struct Tile {
        pub quad: u32,
        pub begin: u32,
        pub end: u32,
        pub clock: u32,
        pub shift: u32,
        pub stream_seed: u32,
    }
}

impl Span {
    /// The span's elements in a state tensor of the batch.
    pub fn of_state(&self) -> std::ops::Range<usize> {
        let shift = self.shift.wrapping_mul(LANES as u32);
        self.begin.wrapping_add(shift) as usize..self.end.wrapping_add(shift) as usize
    }
}

impl Segment {
    fn span(&self) -> Span {
        let stream_seed = self.stream_seed.wrapping_add(self.first as u32).wrapping_sub(self.begin);
        Span { begin: self.begin, end: self.end, clock: self.clock, shift: 0, stream_seed, share: self.share }
    }
}

impl Region {
    /// The spans of the update kernel. Neighbours of one clock form one span.
    pub fn update_spans(&self) -> Vec<Span> {
        // If the state is narrow, no two tensors share a quad of it, so that the state of each can be copied
        // separately. Each tensor has its own noise.
        let Storage { state, master, rounding, .. } = self.storage;
        let joins = state == StateDtype::F32 && master != Master::Remainder && rounding == Rounding::Nearest;
        let mut spans = self.spans(|a, b| joins && a.clock == b.clock);
        let mut state = self.state;
        for span in &mut spans {
            let quads = quads_of(span.begin, span.end);
            span.shift = state.wrapping_sub(quads.start);
            span.stream_seed = span.stream_seed.wrapping_sub(span.shift.wrapping_mul(LANES as u32));
            state += self.whole_blocks(quads.len() as u32);
        }
        spans
    }

    /// The number of quads of the state. Each span has whole quads, or whole blocks if the state is in blocks, and
    /// shares none with another span.
    pub fn state_quads(&self) -> u32 {
        if let Some(rows) = &self.rows {
            return (rows.count * rows.state_stride).div_ceil(LANES as u32);
        }
        let end = |span: &Span| quads_of(span.begin, span.end).end.wrapping_add(span.shift);
        self.whole_blocks(self.update_spans().last().map_or(self.state, end)) - self.state
    }

    fn whole_blocks(&self, quads: u32) -> u32 {
        if self.storage.in_blocks() { quads.next_multiple_of(BLOCK_QUADS) } else { quads }
    }

    /// The number of scales of a state tensor.
    pub fn scales(&self) -> u32 {
        match &self.rows {
            _ if !self.storage.in_blocks() => 0,
            Some(rows) => rows.count * rows.blocks(),
            None => self.state_quads() / BLOCK_QUADS,
        }
    }

    /// The elements of a state tensor.
    pub fn state_elements(&self, kind: StateKind) -> u64 {
        match &self.rows {
            Some(rows) if self.storage.is_per_row(kind) => rows.count.into(),
            _ => LANES * u64::from(self.state_quads()),
        }
    }

    /// A tile for each partial of the norm, without switches.
    pub fn tiles_of_partials(&self) -> Vec<Tile> {
        let Some(rows) = &self.rows else { return self.tiles(&self.norm_spans(), NORM_TILE) };
        let tile = |segment: &Segment| Tile {
            quad: 0,
            begin: segment.begin,
            end: segment.end,
            clock: segment.clock,
            shift: 0,
            stream_seed: 0,
        };
        self.segments.iter().map(tile).cycle().take(rows.partials() as usize).collect()
    }

    /// The place of the first element in the window of params: its quad, or the element itself if the rows of an unaligned
    /// region are addressed by elements.
    pub fn first_place(&self) -> u32 {
        let begin = self.segments.first().map_or(0, |segment| segment.begin);
        if self.rows.is_some() && self.unaligned { begin } else { begin / LANES as u32 }
    }

    /// The tiles of the probe for a segment. Those of rows have their numbers in place of a quad.
    pub fn insight_tiles(&self, segment: &Segment, span: Span) -> Vec<Tile> {
        let Some(rows) = &self.rows else { return self.tiles(&[span], INSIGHT_TILE) };
        let Segment { begin, end, clock, .. } = *segment;
        (0..rows.insight_tiles()).map(|quad| Tile { quad, begin, end, clock, shift: 0, stream_seed: 0 }).collect()
    }

    /// The number of partials of the norm.
    pub fn partials(&self) -> u64 {
        self.rows.as_ref().map_or_else(|| self.count_tiles(&self.norm_spans(), NORM_TILE), RowsRegion::partials)
    }

    /// The segments, each with the part of its span of the update kernel that it covers.
    pub fn spans_of_segments(&self) -> impl Iterator<Item = (&Segment, Span)> {
        let spans = self.update_spans();
        self.segments.iter().map(move |segment| {
            let span = spans[spans.partition_point(|span| span.end <= segment.begin)];
            (segment, Span { begin: segment.begin, end: segment.end, ..span })
        })
    }

    /// The spans of the norm kernel. Neighbours that may share a tile form one span, whatever their clock.
    pub fn norm_spans(&self) -> Vec<Span> {
        self.spans(|span, segment| span.share == segment.share)
    }

    /// The tiles of the norm kernel. The tiles of inactive tensors are empty.
    pub fn norm_tiles(&self, clocks: &ClockMap) -> Vec<Tile> {
        let mut tiles = self.tiles_of_partials();
        tiles.iter_mut().filter(|tile| !clocks.is_active(tile.clock as usize)).for_each(|tile| tile.end = 0);
        tiles
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

    /// Cuts each span into tiles of `quads` quads.
    pub fn tiles(&self, spans: &[Span], quads: u64) -> Vec<Tile> {
        let tiles = spans.iter().flat_map(|span| {
            let Span { begin, end, clock, shift, stream_seed, .. } = *span;
            let firsts = quads_of(begin, end).step_by(quads as usize);
            firsts.map(move |quad| Tile { quad, begin, end, clock, shift, stream_seed })
        });
        tiles.collect()
    }

    /// The number of tiles that [`tiles`](Self::tiles) returns.
    pub fn count_tiles(&self, spans: &[Span], quads: u64) -> u64 {
        spans.iter().map(|span| (quads_of(span.begin, span.end).len() as u64).div_ceil(quads)).sum()
    }

    /// Whether a span begins or ends within a quad of the window or of its tensor.
    pub fn edges(&self, spans: &[Span]) -> bool {
        spans.iter().any(|s| !(s.begin | s.end | s.stream_seed).is_multiple_of(LANES as u32))
    }
}

/// The places of the regions in the order of their partials: by their first tensor. The order must not depend on the
/// clocks, by which batches are sorted. Otherwise an optimizer whose tensors get other clocks would sum differently.
pub(crate) fn order_of_partials(regions: &[Region]) -> Vec<usize> {
    let first = |i: usize| regions[i].segments.first().map(|segment| (segment.tensor, segment.first));
    order(regions.len(), &|a, b| first(a).cmp(&first(b)))
}

/// The quads with an element in `begin..end`.
fn quads_of(begin: u32, end: u32) -> std::ops::Range<u32> {
    begin / LANES as u32..end.div_ceil(LANES as u32)
}
