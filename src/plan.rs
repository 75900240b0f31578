//! How tensors become launches: merge neighbours, align, cut under the device's limits. Pure: no GPU is needed to test it.
//!
//! A launch is one dispatch of the update kernel (and one of the norm kernel). It binds one window of a param buffer
//! and one of a grad buffer, and counts **words** of 4 elements from the param window's beginning. Where the grads are not
//! aligned with the params, or the last word is not all inside its buffer, the launch is **loose**: its words are loaded
//! and stored element by element.

use crate::Error;
use crate::variant::Rule;

/// Invocations in a workgroup: 256 is what every WebGPU device allows.
pub(crate) const WORKGROUP: u64 = 256;
/// Words that one invocation of the update kernel owns.
pub(crate) const UPDATE_WORDS: u64 = 2;
/// Words that one invocation of the norm kernel reads: measured, see `benches/NOTES.md`.
pub(crate) const NORM_WORDS: u64 = 16;
/// The widest gap between two tensors that is bridged: what aligning each tensor to 256 bytes leaves at most.
const MAX_GAP: u64 = 64;
/// Elements a word: what one load moves where the views allow it.
pub(crate) const LANES: u64 = 4;
/// A view whose last word is not all inside its buffer is cut into whole words and a tail, which is a launch more;
/// below this many elements it goes in one loose launch instead.
const SINGLE_LAUNCH: u64 = 16 * 1024;
/// Bytes of an f32, the one format so far.
const ELEMENT: u64 = 4;

/// One tensor, by numbers alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub tensor: usize,
    pub group: u32,
    pub rule: Rule,
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
    pub rule: Rule,
    pub param: Window,
    pub grad: Window,
    /// Words are loaded and stored element by element.
    pub loose: bool,
    /// What to add (modulo 2^32) to a word of the param window to get that of the grad window; where the launch is loose, to
    /// an element.
    pub grad_shift: u32,
    /// Words of the param window up to the last one that is used.
    pub words: u32,
    /// In ascending order, at least one. Elements between them are not touched.
    pub segments: Vec<Segment>,
}

/// Elements `begin..end` of a launch, all of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub begin: u32,
    pub end: u32,
    pub group: u32,
}

/// What one workgroup owns: those elements of `begin..end` that are in its words, of which `word` is the first. The layout
/// is `Piece` in `launch.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Piece {
    pub word: u32,
    pub begin: u32,
    pub end: u32,
    pub group: u32,
}

impl Segment {
    pub fn span(&self) -> Span {
        Span { begin: self.begin, end: self.end, group: self.group }
    }

    /// Its tensor, and how many elements of it are here.
    pub fn part(&self) -> (usize, u64) {
        (self.tensor, (self.end - self.begin).into())
    }
}

impl Launch {
    /// The spans of the update kernel: neighbours of one group are one.
    pub fn update_spans(&self) -> Vec<Span> {
        self.spans(|a, b| a.group == b.group)
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

    /// Each span cut into what a workgroup owns, at so many words an invocation.
    pub fn pieces(&self, spans: &[Span], words: u64) -> Vec<Piece> {
        let pieces = spans.iter().flat_map(|span| {
            let Span { begin, end, group } = *span;
            self.words_of(span).step_by((WORKGROUP * words) as usize).map(move |word| Piece { word, begin, end, group })
        });
        pieces.collect()
    }

    /// How many that are.
    pub fn workgroups(&self, spans: &[Span], words: u64) -> u64 {
        spans.iter().map(|span| (self.words_of(span).len() as u64).div_ceil(WORKGROUP * words)).sum()
    }

    fn words_of(&self, span: &Span) -> std::ops::Range<u32> {
        span.begin / LANES as u32..span.end.div_ceil(LANES as u32)
    }

    /// Whether a span begins or ends within a word.
    pub fn edges(&self, spans: &[Span]) -> bool {
        spans.iter().any(|s| !s.begin.is_multiple_of(LANES as u32) || !s.end.is_multiple_of(LANES as u32))
    }
}

/// The dispatch's dimensions for that many workgroups; the product may be larger, and the kernel returns early there.
pub(crate) fn dimensions(workgroups: u64, limits: &Limits) -> [u32; 3] {
    let rows = workgroups.div_ceil(limits.workgroups).max(1);
    [workgroups.div_ceil(rows) as u32, rows as u32, 1]
}

/// Plans all launches. The tensors must not overlap.
pub(crate) fn plan(placeds: &[Placed], limits: &Limits) -> Result<Vec<Launch>, Error> {
    // Two blocks: one that the views' offsets may waste, one to make progress in.
    if limits.binding < 2 * limits.align {
        let (limit, given) = ("max_storage_buffer_binding_size", limits.binding);
        return Err(Error::Limit { limit, given, need: 2 * limits.align });
    }
    Ok(merge(placeds).iter().flat_map(|run| cut(run, limits)).collect())
}

/// Neighbours: the same rule, the same two buffers, the same distance between param and grad, and next to each other in both.
fn merge(placeds: &[Placed]) -> Vec<Vec<Placed>> {
    let mut sorted = placeds.to_vec();
    let shift = |p: &Placed| p.grad.offset as i64 - p.param.offset as i64;
    sorted.sort_by_key(|p| (p.rule, p.param.buffer, p.grad.buffer, shift(p), p.param.offset));
    let mut runs: Vec<Vec<Placed>> = Vec::new();
    for placed in sorted {
        let joins = |last: &Placed| {
            // Where param and grad share a buffer, what lies between two params may be a grad.
            let gap = if placed.param.buffer == placed.grad.buffer { 0 } else { MAX_GAP * ELEMENT };
            let key = |p: &Placed| (p.rule, p.param.buffer, p.grad.buffer, shift(p));
            key(last) == key(&placed) && placed.param.offset - (last.param.offset + last.len * ELEMENT) <= gap
        };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(joins) => run.push(placed),
            _ => runs.push(vec![placed]),
        }
    }
    runs
}

/// Cuts a run so that each part fits in the bindings and in one dispatch. Positions here are elements of the param buffer.
fn cut(run: &[Placed], limits: &Limits) -> Vec<Launch> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let shift = (first.grad.offset as i64 - first.param.offset as i64) / ELEMENT as i64;
    let grad = |position: u64| (position as i64 + shift) as u64;
    let align = limits.align.max(16) / ELEMENT;
    let window = limits.binding / ELEMENT / align * align;
    let aligned = shift % LANES as i64 == 0;
    // Each part of a tensor begins a workgroup: half of the workgroups for those, half for the words.
    let workgroups = (limits.workgroups * limits.workgroups / 2).max(1);
    let dispatch = workgroups.saturating_mul(WORKGROUP * UPDATE_WORDS);

    let mut launches = Vec::new();
    let (mut begin, all) = (first.param.offset / ELEMENT, last.param.offset / ELEMENT + last.len);
    while begin < all {
        let by_param = begin / align * align + window;
        let by_grad = begin + (window - grad(begin) % align);
        let by_dispatch = (begin / align * align).saturating_add(dispatch);
        let behind = run.partition_point(|placed| placed.param.offset / ELEMENT + placed.len <= begin);
        let by_tensors = run.get(behind + workgroups as usize).map_or(all, |placed| placed.param.offset / ELEMENT);
        let mut end = all.min(by_param).min(by_grad).min(by_dispatch);
        if end < all {
            // The next part begins on a block of the param buffer: its words are then aligned as this one's.
            // That is past `begin`, since a window holds two blocks.
            end = end / align * align;
        }
        end = end.min(by_tensors);
        // The last word must be inside both buffers to be loaded whole.
        let whole = (first.param.size / 16 * 4).min(((first.grad.size / 16 * 4) as i64 - shift).max(0) as u64);
        if aligned && end.next_multiple_of(LANES) <= whole {
            launches.push((begin, end, false));
        } else if !aligned || end - begin < SINGLE_LAUNCH {
            launches.push((begin, end, true));
        } else {
            launches.push((begin, end / LANES * LANES, false));
            launches.push((end / LANES * LANES, end, true));
        }
        begin = end;
    }
    let launches = launches.into_iter().map(|(begin, end, loose)| launch(run, begin, end, loose, shift, align));
    // A part may have come to lie in a gap altogether.
    launches.filter(|launch| !launch.segments.is_empty()).collect()
}

/// The launch for elements `begin..end` of the param buffer.
fn launch(run: &[Placed], begin: u64, end: u64, loose: bool, shift: i64, align: u64) -> Launch {
    // Whole words, where they are loaded whole.
    let (first, last) = if loose { (begin, end) } else { (begin / LANES * LANES, end.next_multiple_of(LANES)) };
    let window = |buffer: usize, first: u64, last: u64| {
        let origin = first / align * align;
        (origin, Window { buffer, offset: origin * ELEMENT, bytes: (last - origin) * ELEMENT })
    };
    let shifted = |position: u64| (position as i64 + shift) as u64;
    let (origin, param) = window(run[0].param.buffer, first, last);
    let (grad_origin, grad) = window(run[0].grad.buffer, shifted(first), shifted(last));
    let grad_shift = shift + origin as i64 - grad_origin as i64;
    let segments = run.iter().filter_map(|placed| {
        let start = placed.param.offset / ELEMENT;
        let (from, to) = (start.max(begin), (start + placed.len).min(end));
        (from < to).then(|| Segment {
            begin: (from - origin) as u32,
            end: (to - origin) as u32,
            group: placed.group,
            tensor: placed.tensor,
            first: from - start,
        })
    });
    Launch {
        rule: run[0].rule,
        param,
        grad,
        loose,
        grad_shift: (if loose { grad_shift } else { grad_shift / LANES as i64 }) as u32,
        words: (last - origin).div_ceil(LANES) as u32,
        segments: segments.collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tensors of these lengths, one behind the other with these gaps, in one buffer of params and one of grads.
    fn place(tensors: &[(u64, u64, u32)], param: u64, grad: u64, slack: u64) -> Vec<Placed> {
        let mut at = 0;
        let mut placed = Vec::new();
        for (tensor, (len, gap, group)) in tensors.iter().enumerate() {
            let place = |buffer, begin| Place { buffer, offset: (begin + at) * ELEMENT, size: 0 };
            placed.push(Placed {
                tensor,
                group: *group,
                rule: Rule::Adam,
                param: place(0, param),
                grad: place(1, grad),
                len: *len,
            });
            at += len + gap;
        }
        for p in &mut placed {
            (p.param.size, p.grad.size) = ((param + at + slack) * ELEMENT, (grad + at + slack) * ELEMENT);
        }
        placed
    }

    fn tensors() -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
        prop::collection::vec((1..3000_u64, prop_oneof![Just(0), 0..100_u64], 0..3_u32), 1..12)
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let binding = prop_oneof![Just(512), Just(4096), Just(1 << 27), 512..20_000_u64];
        (binding, prop_oneof![Just(32), Just(64), Just(256)], prop_oneof![Just(1), Just(2), Just(65_535)])
            .prop_map(|(binding, align, workgroups)| Limits { binding, align, workgroups })
    }

    proptest! {
        #[test]
        fn every_element_is_in_one_launch_and_all_limits_are_kept(
            tensors in tensors(), param in 0..130_u64, grad in 0..130_u64, slack in 0..9_u64, limits in limits(),
        ) {
            let placed = place(&tensors, param, grad, slack);
            let launches = plan(&placed, &limits).unwrap();
            let mut seen: Vec<Vec<u32>> = tensors.iter().map(|t| vec![0; t.0 as usize]).collect();
            for launch in &launches {
                let first = &placed[launch.segments[0].tensor];
                for (window, size) in [(launch.param, first.param.size), (launch.grad, first.grad.size)] {
                    prop_assert!(window.offset % limits.align == 0, "aligned");
                    prop_assert!(window.bytes <= limits.binding, "within the binding limit");
                    prop_assert!(window.offset + window.bytes <= size, "within the buffer");
                }
                prop_assert!(u64::from(launch.words) * LANES * ELEMENT <= limits.binding, "the moments too");
                for (spans, words) in [(launch.update_spans(), UPDATE_WORDS), (launch.norm_spans(), NORM_WORDS)] {
                    let pieces = launch.pieces(&spans, words);
                    prop_assert_eq!(pieces.len() as u64, launch.workgroups(&spans, words));
                    let [x, y, z] = dimensions(pieces.len() as u64, &limits).map(u64::from);
                    prop_assert!(x.max(y).max(z) <= limits.workgroups && x * y * z >= pieces.len() as u64);
                }
                for segment in &launch.segments {
                    let placed = &placed[segment.tensor];
                    prop_assert_eq!(segment.group, placed.group);
                    for (i, element) in (segment.begin..segment.end).enumerate() {
                        let of_tensor = segment.first + i as u64;
                        seen[segment.tensor][of_tensor as usize] += 1;
                        // Where the kernel finds it, in both buffers.
                        let in_param = launch.param.offset / ELEMENT + u64::from(element);
                        prop_assert_eq!(in_param, placed.param.offset / ELEMENT + of_tensor);
                        let element = u64::from(element);
                        let shifted = |x: u64| u64::from((x as u32).wrapping_add(launch.grad_shift));
                        let in_window =
                            if launch.loose { shifted(element) } else { shifted(element / LANES) * LANES + element % LANES };
                        let in_grad = launch.grad.offset / ELEMENT + in_window;
                        prop_assert_eq!(in_grad, placed.grad.offset / ELEMENT + of_tensor);
                        prop_assert!(element < u64::from(launch.words) * LANES);
                    }
                }
            }
            prop_assert!(seen.iter().flatten().all(|count| *count == 1));
        }
    }

    #[test]
    fn neighbours_are_one_launch_and_strangers_are_not() {
        let limits = Limits { binding: 128 << 20, align: 256, workgroups: 65_535 };
        let count = |placed: &[Placed]| plan(placed, &limits).unwrap().len();
        let thousand: Vec<_> = (0..1000).map(|i| (1000, 0, i % 2)).collect();
        assert_eq!(count(&place(&thousand, 0, 0, 0)), 1);
        // Aligned to 256 bytes: bridged. A wider gap is not.
        assert_eq!(count(&place(&[(1, 63, 0), (4, 0, 0)], 0, 0, 0)), 1);
        assert_eq!(count(&place(&[(4, 65, 0), (4, 0, 0)], 0, 0, 0)), 2);
        // Another buffer, or another distance between param and grad.
        let mut apart = place(&[(4, 0, 0), (4, 0, 0)], 0, 0, 8);
        apart[1].grad.offset += 16;
        assert_eq!(count(&apart), 2);
        apart[1].grad.offset -= 16;
        apart[1].param.buffer = 2;
        assert_eq!(count(&apart), 2);
    }

    #[test]
    fn a_tensor_above_128_mib_is_cut_in_two() {
        let limits = Limits { binding: 128 << 20, align: 256, workgroups: 65_535 };
        let launches = plan(&place(&[(40 << 20, 0, 0)], 0, 0, 0), &limits).unwrap();
        assert_eq!(
            launches.iter().map(|l| (l.loose, l.words)).collect::<Vec<_>>(),
            [(false, 8 << 20), (false, 2 << 20)]
        );
        assert_eq!(launches[1].segments[0].first, 32 << 20);
    }
}
