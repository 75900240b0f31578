//! A launch: what one dispatch of the update kernel (and one of the norm kernel) does, or a part of it where several are
//! bundled, and who does what in it. Twin of `launch.wgsl`.
//!
//! It binds one window of a param buffer and one of a grad buffer, and counts **words** of 4 elements from the param window's
//! beginning. Where the grads are not aligned with the params, or the last word is not all inside its buffer, the launch is
//! **loose**: its words are loaded and stored element by element.

use crate::config::precision::{Master, StateFormat};
use crate::num::block8::BLOCK;
use crate::num::noise::mixed;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::storage::Kind;

/// Of the update kernel: as fast as 256 where there is much to do, and a small tensor keeps few of them idle.
pub(crate) const UPDATE_WORKGROUP: u64 = 64;
/// Words that one invocation of the update kernel owns: measured, as all of these, see `benches/NOTES.md`.
pub(crate) const UPDATE_WORDS: u64 = 4;
/// Words of a piece of the update kernel: of 16 invocations.
pub(crate) const UPDATE_PIECE: u64 = 64;
/// Pieces that a workgroup of the update kernel owns.
pub(crate) const UPDATE_PIECES: u64 = UPDATE_WORKGROUP * UPDATE_WORDS / UPDATE_PIECE;
/// Words that one invocation of the norm kernel reads.
pub(crate) const NORM_WORDS: u64 = 16;
/// Words of a piece of the norm kernel: of a workgroup.
pub(crate) const NORM_PIECE: u64 = WORKGROUP * NORM_WORDS;
/// Bytes of a word of the state, at most: of f32.
pub(crate) const STATE_WORD: u64 = 4 * LANES;
/// Words of a block that has a scale of its own.
pub(crate) const BLOCK_WORDS: u32 = (BLOCK / LANES) as u32;
const _: () = assert!(BLOCK_WORDS as u64 == UPDATE_PIECE, "a piece is a block: its scale is found by its sharers");

/// Bytes of a buffer to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}

/// A part of a launch that belongs to one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Elements `begin..end` of the launch.
    pub begin: u32,
    pub end: u32,
    pub group: u32,
    pub tensor: usize,
    /// Which element of the tensor is at `begin`.
    pub first: u64,
}

/// What one dispatch can do with two windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Launch {
    pub kind: Kind,
    pub grad_scale: f32,
    pub param: Window,
    pub grad: Window,
    /// Words are loaded and stored element by element.
    pub loose: bool,
    /// What to add (modulo 2^32) to a word of the param window to get that of the grad window; where the launch is loose, to
    /// an element.
    pub grad_shift: u32,
    /// In ascending order, at least one. Elements between them are not touched.
    pub segments: Vec<Segment>,
    /// The first word of its state in the bundle's buffers.
    pub state: u32,
    /// Where the state is in blocks: which 4 bytes of a memory's buffer are the first scale, behind all codes.
    pub first_scale: u32,
}

/// Elements `begin..end` of a launch, all of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub begin: u32,
    pub end: u32,
    pub group: u32,
    /// What to add (modulo 2^32) to a word to get that of the state, which the spans have one behind the other.
    pub shift: u32,
}

/// What a workgroup owns, or a part of one: those elements of `begin..end` that are in its words, of which `word` is the
/// first. The layout is `Piece` in `launch.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Piece {
    pub word: u32,
    pub begin: u32,
    pub end: u32,
    pub group: u32,
    pub shift: u32,
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
        Span { begin: self.begin, end: self.end, group: self.group, shift: 0 }
    }

    /// Its tensor, and how many elements of it are here.
    pub fn part(&self) -> (usize, u64) {
        (self.tensor, (self.end - self.begin).into())
    }
}

impl Launch {
    /// The spans of the update kernel: neighbours of one group are one.
    pub fn update_spans(&self) -> Vec<Span> {
        // Where the state is narrow, no two tensors share its words: they can then be copied by themselves.
        let joins = self.kind.state == StateFormat::F32 && self.kind.master != Master::Remainder;
        let mut spans = self.spans(|a, b| joins && a.group == b.group);
        let mut state = self.state;
        for span in &mut spans {
            let words = words_of(span.begin, span.end);
            span.shift = state.wrapping_sub(words.start);
            state += self.whole_blocks(words.len() as u32);
        }
        spans
    }

    /// Words of the state: those of the spans, each span's whole and its own, and of whole blocks where it is in blocks.
    pub fn state_words(&self) -> u32 {
        let end = |span: &Span| words_of(span.begin, span.end).end.wrapping_add(span.shift);
        self.whole_blocks(self.update_spans().last().map_or(self.state, end)) - self.state
    }

    fn whole_blocks(&self, words: u32) -> u32 {
        if self.kind.in_blocks() { words.next_multiple_of(BLOCK_WORDS) } else { words }
    }

    /// Scales of a memory.
    pub fn scales(&self) -> u32 {
        if self.kind.in_blocks() { self.state_words() / BLOCK_WORDS } else { 0 }
    }

    /// The update's span of each segment.
    pub fn spans_of_segments(&self) -> impl Iterator<Item = (&Segment, Span)> {
        let spans = self.update_spans();
        self.segments.iter().map(move |segment| {
            let span = spans[spans.partition_point(|span| span.end <= segment.begin)];
            (segment, Span { begin: segment.begin, end: segment.end, ..span })
        })
    }

    /// The spans of the norm kernel: neighbours are one, whatever the group.
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

    /// Each span cut into pieces of so many words.
    pub fn pieces(&self, spans: &[Span], words: u64) -> Vec<Piece> {
        let pieces = spans.iter().flat_map(|span| {
            let Span { begin, end, group, shift } = *span;
            let firsts = words_of(begin, end).step_by(words as usize);
            firsts.map(move |word| Piece { word, begin, end, group, shift })
        });
        pieces.collect()
    }

    /// What its noise begins with.
    pub fn salt(&self, number: usize, seed: u32) -> u32 {
        mixed(seed ^ mixed(number as u32))
    }

    /// How many that are.
    pub fn count_pieces(&self, spans: &[Span], words: u64) -> u64 {
        spans.iter().map(|span| (words_of(span.begin, span.end).len() as u64).div_ceil(words)).sum()
    }

    /// Whether a span begins or ends within a word.
    pub fn edges(&self, spans: &[Span]) -> bool {
        spans.iter().any(|s| !s.begin.is_multiple_of(LANES as u32) || !s.end.is_multiple_of(LANES as u32))
    }
}

/// The words of which some element is in `begin..end`.
fn words_of(begin: u32, end: u32) -> std::ops::Range<u32> {
    begin / LANES as u32..end.div_ceil(LANES as u32)
}
