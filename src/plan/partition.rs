//! How tensors become launches: merge neighbours, align, cut under the device's limits. Pure: no GPU is needed to test it.

use std::ops::Range;

use crate::error::Error;
use crate::num::block8::BLOCK;
use crate::num::quad::LANES;
use crate::plan::batch;
use crate::plan::limits::Limits;
use crate::plan::region::{BLOCK_WORDS, Launch, STATE_WORD, Segment, UPDATE_WORDS, UPDATE_WORKGROUP, Window};
use crate::plan::storage::Kind;

/// A view whose last word is not all inside its buffer is cut into whole words and a tail, which is a launch more;
/// below this many elements it goes in one loose launch instead.
const SINGLE_LAUNCH: u64 = 16 * 1024;

/// One tensor, by numbers alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub tensor: usize,
    pub group: u32,
    pub kind: Kind,
    /// What an integer of the grad stands for.
    pub grad_scale: f32,
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

/// The launches, and which of them are one dispatch of the update kernel.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub launches: Vec<Launch>,
    pub bundles: Vec<Range<usize>>,
}

impl Placed {
    /// Which elements of their buffers its first ones are.
    fn start(&self) -> u64 {
        self.param.offset / self.kind.param.bytes()
    }

    fn shift(&self) -> i64 {
        (self.grad.offset / self.kind.grad.bytes()) as i64 - self.start() as i64
    }

    fn end(&self) -> u64 {
        self.start() + self.len
    }

    /// Words of the state for so many words of the param: whole blocks, where it is in blocks.
    fn state_words(&self, words: u64) -> u64 {
        if self.kind.in_blocks() { words.next_multiple_of(BLOCK_WORDS.into()) } else { words }
    }

    /// Where its state is in blocks and a binding has no room for one, wherever that begins: the bytes that it needs.
    pub fn block_too_large(&self, limits: &Limits) -> Option<u64> {
        let bytes = self.kind.param.bytes().max(self.kind.grad.bytes());
        let need = (BLOCK * bytes + 2 * limits.align.max(16)).max(u64::from(BLOCK_WORDS) * STATE_WORD);
        (self.kind.in_blocks() && limits.binding < need).then_some(need)
    }

    /// Where its last block begins that begins before that position, which is in it.
    fn block_before(&self, position: u64) -> u64 {
        position - 1 - (position - 1 - self.start()) % BLOCK
    }
}

/// Plans all launches. The tensors must not overlap, and no block be too large.
pub(crate) fn plan(placeds: &[Placed], zero_grad: bool, limits: &Limits) -> Result<Plan, Error> {
    // Two blocks: one that the views' offsets may waste, one to make progress in.
    if limits.binding < 2 * limits.align {
        let (limit, given) = ("max_storage_buffer_binding_size", limits.binding);
        return Err(Error::Limit { limit, given, need: 2 * limits.align });
    }
    let launches = merge(placeds).into_iter().flat_map(|run| cut(&run, limits));
    let launches = launches.flat_map(|launch| part(launch, zero_grad)).collect();
    let (launches, bundles) = batch::bundled(launches, zero_grad, limits);
    Ok(Plan { launches, bundles })
}

/// What can be one launch: the same kind, the same two buffers, the same distance between param and grad. Where a launch has
/// gaps, nothing is lost, since the state has none.
fn merge(placeds: &[Placed]) -> Vec<Vec<Placed>> {
    let key = |p: &Placed| (p.kind, p.grad_scale.to_bits(), p.param.buffer, p.grad.buffer, p.shift());
    let mut sorted = placeds.to_vec();
    sorted.sort_by_key(|p| (key(p), p.param.offset));
    let mut runs: Vec<Vec<Placed>> = Vec::new();
    for placed in sorted {
        let joins = |last: &Placed| {
            // Where param and grad share a buffer, what lies between two params may be a grad.
            let apart = placed.param.buffer == placed.grad.buffer && placed.start() != last.end();
            key(last) == key(&placed) && !apart
        };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(joins) => run.push(placed),
            _ => runs.push(vec![placed]),
        }
    }
    runs
}

/// One of the two buffers of a run: how large its elements are, and how many of them lie in a block and in a binding.
struct Side {
    buffer: usize,
    bytes: u64,
    align: u64,
    window: u64,
    /// Elements up to the last that is in a whole word.
    whole: u64,
}

impl Side {
    fn new(place: &Place, bytes: u64, limits: &Limits) -> Self {
        let align = limits.align.max(16) / bytes;
        let window = limits.binding / bytes / align * align;
        Self { buffer: place.buffer, bytes, align, window, whole: place.size / (LANES * bytes) * LANES }
    }

    /// The window for elements `first..last`, and which element it begins with.
    fn window(&self, first: u64, last: u64) -> (u64, Window) {
        let origin = first / self.align * self.align;
        // A binding is a multiple of 4 bytes.
        let bytes = ((last - origin) * self.bytes).next_multiple_of(4);
        (origin, Window { buffer: self.buffer, offset: origin * self.bytes, bytes })
    }
}

/// Cuts a run so that each part fits in the bindings and in one dispatch. Positions here are elements of the param buffer.
fn cut(run: &[Placed], limits: &Limits) -> Vec<Launch> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let param = Side::new(&first.param, first.kind.param.bytes(), limits);
    let grad = Side::new(&first.grad, first.kind.grad.bytes(), limits);
    let shift = first.shift();
    let shifted = |position: u64| (position as i64 + shift) as u64;
    let aligned = shift % LANES as i64 == 0;
    let state_words = limits.binding / STATE_WORD;
    let state_words =
        if first.kind.in_blocks() { state_words - state_words % u64::from(BLOCK_WORDS) } else { state_words };
    let block = param.align.min(grad.align);
    // Each part of a tensor begins a piece: half of the workgroups for those, half for the words.
    let workgroups = (limits.workgroups * limits.workgroups / 2).max(1);
    let dispatch = workgroups.saturating_mul(UPDATE_WORKGROUP * UPDATE_WORDS * LANES / 2);

    let mut launches = Vec::new();
    let (mut begin, all) = (first.start(), last.end());
    while begin < all {
        let by_param = begin / param.align * param.align + param.window;
        let by_grad = begin + (grad.window - shifted(begin) % grad.align);
        let by_state = (begin / LANES + state_words) * LANES;
        let by_dispatch = (begin / param.align * param.align).saturating_add(dispatch);
        let behind = run.partition_point(|placed| placed.end() <= begin);
        let by_tensors = run.get(behind + workgroups as usize).map_or(all, Placed::start);
        let mut end = all.min(by_param).min(by_grad).min(by_state).min(by_dispatch);
        if end < all {
            // The next part begins on a block, and so on a word. That is past `begin`, since a window holds two blocks.
            end = if first.kind.in_blocks() {
                // Or on a block of its tensor's, which are not parted.
                let parted = run.iter().find(|placed| (placed.start()..placed.end()).contains(&end));
                parted.map_or(end, |placed| end - (end - placed.start()) % BLOCK)
            } else {
                end / block * block
            };
        }
        end = end.min(by_tensors);
        // Of a word that two spans share the state has two.
        let mut words = 0;
        for placed in run[behind..].iter().take_while(|placed| placed.start() < end) {
            words += placed.state_words(placed.end().min(end).div_ceil(LANES) - placed.start().max(begin) / LANES);
            if words > state_words && placed.start() > begin {
                end = placed.start();
                break;
            }
        }
        // The last word must be inside both buffers to be loaded whole.
        let whole = param.whole.min((grad.whole as i64 - shift).max(0) as u64);
        if aligned && end.next_multiple_of(LANES) <= whole {
            launches.push((begin, end, false));
        } else if !aligned || end - begin < SINGLE_LAUNCH {
            launches.push((begin, end, true));
        } else {
            let last = run.iter().find(|placed| placed.kind.in_blocks() && placed.start() < end && end <= placed.end());
            let tail = last.map_or(end / LANES * LANES, |placed| placed.block_before(end));
            launches.push((begin, tail, false));
            launches.push((tail, end, true));
        }
        begin = end;
    }
    let launches = launches.into_iter().map(|(begin, end, loose)| launch(run, &param, &grad, begin..end, loose));
    // A part may have come to lie in a gap altogether.
    launches.filter(|launch| !launch.segments.is_empty()).collect()
}

/// The launch for those elements of the param buffer.
fn launch(run: &[Placed], param: &Side, grad: &Side, elements: Range<u64>, loose: bool) -> Launch {
    let Range { start: begin, end } = elements;
    // Whole words, where they are loaded whole.
    let (first, last) = if loose { (begin, end) } else { (begin / LANES * LANES, end.next_multiple_of(LANES)) };
    let shifted = |position: u64| (position as i64 + run[0].shift()) as u64;
    let (origin, param) = param.window(first, last);
    let (grad_origin, grad) = grad.window(shifted(first), shifted(last));
    let grad_shift = run[0].shift() + origin as i64 - grad_origin as i64;
    let segments = run.iter().filter_map(|placed| {
        let (from, to) = (placed.start().max(begin), placed.end().min(end));
        (from < to).then(|| Segment {
            begin: (from - origin) as u32,
            end: (to - origin) as u32,
            group: placed.group,
            tensor: placed.tensor,
            first: from - placed.start(),
        })
    });
    Launch {
        kind: run[0].kind,
        grad_scale: run[0].grad_scale,
        param,
        grad,
        loose,
        grad_shift: (if loose { grad_shift } else { grad_shift / LANES as i64 }) as u32,
        segments: segments.collect(),
        state: 0,
        first_scale: 0,
    }
}

/// Two launches of one, where two spans share 32 bits of what is written: no two invocations of one dispatch may write them.
fn part(launch: Launch, zero_grad: bool) -> Vec<Launch> {
    if !(launch.kind.param.is_half() || zero_grad && launch.kind.grad.is_half()) {
        return vec![launch];
    }
    let mut later: Vec<Range<u32>> = Vec::new();
    let mut last = (0, false);
    for span in launch.update_spans() {
        let shares = span.begin == last.0 && span.begin % 2 == 1 && !last.1;
        if shares {
            later.push(span.begin..span.end);
        }
        last = (span.end, shares);
    }
    if later.is_empty() {
        return vec![launch];
    }
    let is_later = |segment: &Segment| later.iter().any(|span| span.contains(&segment.begin));
    let (later, sooner) = launch.segments.iter().partition(|segment| is_later(segment));
    [sooner, later].map(|segments| Launch { segments, ..launch.clone() }).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::dtype::{Format, Stored};
    use crate::config::precision::{Precision, StateFormat};
    use crate::config::rule::Rule;
    use crate::plan::region::{NORM_PIECE, UPDATE_PIECE, UPDATE_PIECES};

    fn kind(param: Format, grad: Format, state: StateFormat) -> Kind {
        let precision = Precision { state, state_min_len: 0, ..Precision::default() };
        Kind::new("x", Rule::Adam, param, grad, 1, &precision).unwrap()
    }

    /// Tensors of these lengths, one behind the other with these gaps, in one buffer of params and one of grads.
    fn place(kind: Kind, tensors: &[(u64, u64, u32)], param: u64, grad: u64, slack: u64) -> Vec<Placed> {
        // Where the state is in blocks, each begins at a multiple of 4.
        let align = if kind.in_blocks() { LANES } else { 1 };
        let (mut at, param) = (0, param.next_multiple_of(align));
        let mut placed = Vec::new();
        for (tensor, (len, gap, group)) in tensors.iter().enumerate() {
            let place =
                |buffer, begin, stored: Stored| Place { buffer, offset: (begin + at) * stored.bytes(), size: 0 };
            placed.push(Placed {
                tensor,
                group: *group,
                kind,
                grad_scale: 1.0,
                param: place(0, param, kind.param),
                grad: place(1, grad, kind.grad),
                len: *len,
            });
            at = (at + len + gap).next_multiple_of(align);
        }
        for p in &mut placed {
            let size = |begin: u64, stored: Stored| ((begin + at + slack) * stored.bytes()).next_multiple_of(4);
            (p.param.size, p.grad.size) = (size(param, kind.param), size(grad, kind.grad));
        }
        placed
    }

    fn plain() -> Kind {
        kind(Format::F32, Format::F32, StateFormat::F32)
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        let formats = || prop_oneof![Just(Format::F32), Just(Format::F16), Just(Format::Bf16)];
        (formats(), formats(), prop_oneof![Just(StateFormat::F32), Just(StateFormat::Bf16), Just(StateFormat::Block8)])
            .prop_map(|(param, grad, state)| kind(param, grad, state))
    }

    fn tensors() -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
        prop::collection::vec((1..3000_u64, prop_oneof![Just(0), 0..100_u64], 0..3_u32), 1..12)
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let binding = prop_oneof![Just(512), Just(4096), Just(1 << 27), 512..20_000_u64];
        (binding, prop_oneof![Just(32), Just(64), Just(256)], prop_oneof![Just(1), Just(2), Just(65_535)])
            .prop_map(|(binding, align, workgroups)| Limits { binding, align, workgroups, ..Limits::DEFAULT })
    }

    proptest! {
        #[test]
        fn every_element_is_in_one_launch_and_all_limits_are_kept(
            kind in kinds(), tensors in tensors(), param in 0..130_u64, grad in 0..130_u64, slack in 0..9_u64,
            limits in limits(),
        ) {
            let placed = place(kind, &tensors, param, grad, slack);
            prop_assume!(placed[0].block_too_large(&limits).is_none());
            let launches = plan(&placed, false, &limits).unwrap().launches;
            let (of_param, of_grad) = (kind.param.bytes(), kind.grad.bytes());
            let mut seen: Vec<Vec<u32>> = tensors.iter().map(|t| vec![0; t.0 as usize]).collect();
            for launch in &launches {
                let first = &placed[launch.segments[0].tensor];
                for (window, size) in [(launch.param, first.param.size), (launch.grad, first.grad.size)] {
                    prop_assert!(window.offset % limits.align == 0, "aligned");
                    prop_assert!(window.bytes <= limits.binding, "within the binding limit");
                    prop_assert!(window.offset + window.bytes <= size, "within the buffer");
                }
                prop_assert!(u64::from(launch.state_words()) * STATE_WORD <= limits.binding, "the moments too");
                for (spans, words, each) in
                    [(launch.update_spans(), UPDATE_PIECE, UPDATE_PIECES), (launch.norm_spans(), NORM_PIECE, 1)]
                {
                    let pieces = launch.pieces(&spans, words);
                    prop_assert_eq!(pieces.len() as u64, launch.count_pieces(&spans, words));
                    let workgroups = (pieces.len() as u64).div_ceil(each);
                    let [x, y, z] = limits.dimensions(workgroups).map(u64::from);
                    prop_assert!(x.max(y).max(z) <= limits.workgroups && x * y * z >= workgroups);
                }
                if kind.in_blocks() {
                    prop_assert_eq!(launch.segments.len(), launch.update_spans().len());
                    for (segment, span) in launch.spans_of_segments() {
                        let state = span.of_state().start as u64;
                        prop_assert!(segment.first.is_multiple_of(BLOCK) && state.is_multiple_of(BLOCK), "blocks are whole");
                    }
                }
                for segment in &launch.segments {
                    let placed = &placed[segment.tensor];
                    prop_assert_eq!(segment.group, placed.group);
                    for (i, element) in (segment.begin..segment.end).enumerate() {
                        let of_tensor = segment.first + i as u64;
                        seen[segment.tensor][of_tensor as usize] += 1;
                        // Where the kernel finds it, in both buffers.
                        let in_param = launch.param.offset / of_param + u64::from(element);
                        prop_assert_eq!(in_param, placed.param.offset / of_param + of_tensor);
                        let element = u64::from(element);
                        let shifted = |x: u64| u64::from((x as u32).wrapping_add(launch.grad_shift));
                        let in_window =
                            if launch.loose { shifted(element) } else { shifted(element / LANES) * LANES + element % LANES };
                        let in_grad = launch.grad.offset / of_grad + in_window;
                        prop_assert_eq!(in_grad, placed.grad.offset / of_grad + of_tensor);
                        prop_assert!((element + 1) * of_param <= launch.param.bytes);
                    }
                }
            }
            prop_assert!(seen.iter().flatten().all(|count| *count == 1));
            for launch in launches.iter().filter(|launch| launch.kind.param.is_half()) {
                for pair in launch.update_spans().windows(2) {
                    // A span of one tensor's neighbours is one workgroup's only where they are of one group.
                    let (last, first) = ((pair[0].end - 1) / 2, pair[1].begin / 2);
                    prop_assert!(last < first, "no 32 bits are of two spans");
                }
            }
        }
    }

    #[test]
    fn neighbours_are_one_launch_and_strangers_are_not() {
        let count = |placed: &[Placed]| plan(placed, false, &Limits::DEFAULT).unwrap().launches.len();
        let thousand: Vec<_> = (0..1000).map(|i| (1000, 0, i % 2)).collect();
        assert_eq!(count(&place(plain(), &thousand, 0, 0, 0)), 1);
        // Gaps are bridged.
        assert_eq!(count(&place(plain(), &[(1, 63, 0), (4, 0, 0)], 0, 0, 0)), 1);
        assert_eq!(count(&place(plain(), &[(4, 6500, 0), (4, 0, 0)], 0, 0, 0)), 1);
        // Another buffer, or another distance between param and grad.
        let mut apart = place(plain(), &[(4, 0, 0), (4, 0, 0)], 0, 0, 8);
        apart[1].grad.offset += 16;
        assert_eq!(count(&apart), 2);
        apart[1].grad.offset -= 16;
        apart[1].param.buffer = 2;
        assert_eq!(count(&apart), 2);
    }

    #[test]
    fn a_tensor_above_128_mib_is_cut_in_two() {
        let placed = place(plain(), &[(40 << 20, 0, 0)], 0, 0, 0);
        let launches = plan(&placed, false, &Limits::DEFAULT).unwrap().launches;
        assert_eq!(
            launches.iter().map(|l| (l.loose, l.state_words())).collect::<Vec<_>>(),
            [(false, 8 << 20), (false, 2 << 20)]
        );
        assert_eq!(launches[1].segments[0].first, 32 << 20);
    }
}
