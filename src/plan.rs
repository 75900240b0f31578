//! How tensors become launches: merge neighbours, align, cut under the device's limits. Pure: no GPU is needed to test it.
//!
//! A launch is one dispatch of the update kernel (and one of the norm kernel). It binds one window of a param buffer
//! and one of a grad buffer, and counts elements from the first **word** that it touches. A word is what one load
//! moves: 4 elements where the views allow it, else 1.

use crate::Error;

/// Invocations in a workgroup: 256 is what every WebGPU device allows.
pub(crate) const WORKGROUP: u64 = 256;
/// Words that one invocation of the update kernel owns.
pub(crate) const UPDATE_WORDS: u64 = 2;
/// Words that one invocation of the norm kernel reads.
pub(crate) const NORM_WORDS: u64 = 8;
/// Words for which a launch of many segments remembers where to begin looking.
pub(crate) const TABLE_WORDS: u64 = 64;
/// The widest gap between two tensors that is bridged: what aligning each tensor to 256 bytes leaves at most.
const MAX_GAP: u64 = 64;
/// A view whose last word is not all inside its buffer is cut into whole words and a tail, which is a launch more;
/// below this many elements it goes in one launch of single elements instead.
const SINGLE_LAUNCH: u64 = 16 * 1024;
/// Bytes of an f32, the one format so far.
const ELEMENT: u64 = 4;

/// One tensor, by numbers alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub tensor: usize,
    pub group: u32,
    pub param: Place,
    pub grad: Place,
    /// Elements.
    pub len: u64,
}

/// Where a view begins: the number of its buffer, a byte offset, and the buffer's size in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub buffer: usize,
    pub offset: u64,
    pub size: u64,
}

/// The device's limits, as far as they matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that one binding may span.
    pub binding: u64,
    /// What a binding's byte offset must be a multiple of.
    pub align: u64,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u64,
}

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

/// One dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub param: Window,
    pub grad: Window,
    /// Elements a word: 4 or 1.
    pub lanes: u32,
    /// Words before the launch's first word in the param window, and in the grad window.
    pub param_word: u32,
    pub grad_word: u32,
    /// Words, partly used ones included.
    pub words: u32,
    /// In ascending order, at least one. Elements between them are not touched.
    pub segments: Vec<Segment>,
}

impl Launch {
    /// The segments as the update kernel needs them: neighbours of one group are one.
    pub fn update_spans(&self) -> Vec<Span> {
        spans(&self.segments, |a, b| a.group == b.group)
    }

    /// The segments as the norm kernel needs them: neighbours are one, whatever the group.
    pub fn norm_spans(&self) -> Vec<Span> {
        spans(&self.segments, |_, _| true)
    }

    /// Workgroups of the update and of the norm kernel.
    pub fn update_workgroups(&self) -> u64 {
        u64::from(self.words).div_ceil(WORKGROUP * UPDATE_WORDS)
    }
    pub fn norm_workgroups(&self) -> u64 {
        u64::from(self.words).div_ceil(WORKGROUP * NORM_WORDS)
    }
}

/// Elements `begin..end` of a launch, all of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub begin: u32,
    pub end: u32,
    pub group: u32,
}

fn spans(segments: &[Segment], joins: impl Fn(&Span, &Segment) -> bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for segment in segments {
        match spans.last_mut() {
            Some(last) if last.end == segment.begin && joins(last, segment) => last.end = segment.end,
            _ => spans.push(Span { begin: segment.begin, end: segment.end, group: segment.group }),
        }
    }
    spans
}

/// What a kernel reads to find its spans: for each block of `TABLE_WORDS` words the first span that ends after the
/// block's first element, then `begin, end, group` of each span.
pub(crate) fn table(spans: &[Span], words: u32, lanes: u32) -> Vec<u32> {
    let mut at = 0;
    let blocks = u64::from(words).div_ceil(TABLE_WORDS);
    let mut table = Vec::with_capacity(blocks as usize + 3 * spans.len());
    for block in 0..blocks {
        let element = block * TABLE_WORDS * u64::from(lanes);
        while at < spans.len() && u64::from(spans[at].end) <= element {
            at += 1;
        }
        table.push(at as u32);
    }
    table.extend(spans.iter().flat_map(|s| [s.begin, s.end, s.group]));
    table
}

/// The dispatch's dimensions for that many workgroups; the product may be larger, and the kernel returns early there.
pub(crate) fn dimensions(workgroups: u64, limits: &Limits) -> [u32; 3] {
    let rows = workgroups.div_ceil(limits.workgroups).max(1);
    [workgroups.div_ceil(rows) as u32, rows as u32, 1]
}

/// Plans all launches. The pieces must not overlap.
pub(crate) fn plan(pieces: &[Piece], limits: &Limits) -> Result<Vec<Launch>, Error> {
    // Two blocks: one that the views' offsets may waste, one to make progress in.
    if limits.binding < 2 * limits.align {
        let (limit, given) = ("max_storage_buffer_binding_size", limits.binding);
        return Err(Error::Limit { limit, given, need: 2 * limits.align });
    }
    Ok(merge(pieces).iter().flat_map(|run| cut(run, limits)).collect())
}

/// Neighbours: the same two buffers, the same distance between param and grad, and next to each other in both.
fn merge(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let mut sorted = pieces.to_vec();
    let shift = |p: &Piece| p.grad.offset as i64 - p.param.offset as i64;
    sorted.sort_by_key(|p| (p.param.buffer, p.grad.buffer, shift(p), p.param.offset));
    let mut runs: Vec<Vec<Piece>> = Vec::new();
    for piece in sorted {
        let joins = |last: &Piece| {
            // Where param and grad share a buffer, what lies between two params may be a grad.
            let gap = if piece.param.buffer == piece.grad.buffer { 0 } else { MAX_GAP * ELEMENT };
            let same = |a: &Piece, b: &Piece| {
                (a.param.buffer, a.grad.buffer, shift(a)) == (b.param.buffer, b.grad.buffer, shift(b))
            };
            same(last, &piece) && piece.param.offset - (last.param.offset + last.len * ELEMENT) <= gap
        };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(joins) => run.push(piece),
            _ => runs.push(vec![piece]),
        }
    }
    runs
}

/// Cuts a run so that each part fits in the bindings and in one dispatch. Positions here are elements of the param buffer.
fn cut(run: &[Piece], limits: &Limits) -> Vec<Launch> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let shift = (first.grad.offset as i64 - first.param.offset as i64) / ELEMENT as i64;
    let grad = |position: u64| (position as i64 + shift) as u64;
    let align = limits.align.max(16) / ELEMENT;
    let window = limits.binding / ELEMENT / align * align;
    let wide = shift % 4 == 0;
    let lanes = if wide { 4 } else { 1 };
    let dispatch = (limits.workgroups * limits.workgroups).saturating_mul(WORKGROUP * UPDATE_WORDS * lanes);

    let mut launches = Vec::new();
    let (mut begin, all) = (first.param.offset / ELEMENT, last.param.offset / ELEMENT + last.len);
    while begin < all {
        let by_param = begin / align * align + window;
        let by_grad = begin + (window - grad(begin) % align);
        let by_dispatch = (begin / align * align).saturating_add(dispatch);
        let mut end = all.min(by_param).min(by_grad).min(by_dispatch);
        if end < all {
            // The next part begins on a block of the param buffer: its words are then aligned as this one's.
            // That is past `begin`, since a window holds two blocks.
            end = end / align * align;
        }
        // The last word must be inside both buffers to be loaded whole.
        let whole = (first.param.size / 16 * 4).min(((first.grad.size / 16 * 4) as i64 - shift).max(0) as u64);
        if !wide {
            launches.push((begin, end, 1));
        } else if end.next_multiple_of(4) <= whole {
            launches.push((begin, end, 4));
        } else if end - begin < SINGLE_LAUNCH {
            launches.push((begin, end, 1));
        } else {
            launches.push((begin, end / 4 * 4, 4));
            launches.push((end / 4 * 4, end, 1));
        }
        begin = end;
    }
    let launches = launches.into_iter().map(|(begin, end, lanes)| launch(run, begin, end, lanes, shift, align));
    // A part may have come to lie in a gap altogether.
    launches.filter(|launch| !launch.segments.is_empty()).collect()
}

/// The launch for elements `begin..end` of the param buffer.
fn launch(run: &[Piece], begin: u64, end: u64, lanes: u64, shift: i64, align: u64) -> Launch {
    let origin = begin / lanes * lanes;
    let words = (end - origin).div_ceil(lanes);
    let window = |buffer: usize, origin: u64| {
        let first = origin / align * align;
        let bytes = (origin + words * lanes - first) * ELEMENT;
        (Window { buffer, offset: first * ELEMENT, bytes }, ((origin - first) / lanes) as u32)
    };
    let (param, param_word) = window(run[0].param.buffer, origin);
    let (grad, grad_word) = window(run[0].grad.buffer, (origin as i64 + shift) as u64);
    let segments = run.iter().filter_map(|piece| {
        let start = piece.param.offset / ELEMENT;
        let (from, to) = (start.max(begin), (start + piece.len).min(end));
        (from < to).then(|| Segment {
            begin: (from - origin) as u32,
            end: (to - origin) as u32,
            group: piece.group,
            tensor: piece.tensor,
            first: from - start,
        })
    });
    Launch {
        param,
        grad,
        lanes: lanes as u32,
        param_word,
        grad_word,
        words: words as u32,
        segments: segments.collect(),
    }
}
