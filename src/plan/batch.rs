//! Small launches that go into one dispatch, since a dispatch costs more than they do: what tensors in buffers of their own
//! mostly come to. Each has bindings of its own there, so the device's limit of storage buffers says how many fit: three, of
//! Adam and the default limits. Pure: no GPU is needed to test it. Twin of `many_launches.wgsl`.

use std::ops::Range;

use crate::plan::limits::Limits;
use crate::plan::region::{Launch, NORM_PIECE, STATE_WORD, UPDATE_PIECE, UPDATE_PIECES};
use crate::plan::storage::Kind;

/// Launches of at most so many elements are bundled: measured, see `benches/NOTES.md`.
const SMALL: u32 = 16 * 1024;
/// Launches in a bundle at most. More gain little, and a kernel is compiled for each number in use.
const MOST: usize = 5;

/// How many launches of a kind can be in one dispatch of the update kernel: each binds a param and a grad, and all of them
/// the memories.
fn most_updates(kind: &Kind, limits: &Limits) -> usize {
    (limits.storage.saturating_sub(kind.memories().count()) / 2).clamp(1, MOST)
}

/// The same of the norm kernel: each binds a grad, and all of them the partials.
fn most_norms(limits: &Limits) -> usize {
    limits.storage.saturating_sub(1).clamp(1, MOST)
}

/// Cuts a list into stretches: one ends where the next launch does not join it.
fn stretches(launches: &[Launch], joins: impl Fn(&[Launch], &Launch) -> bool) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for (i, launch) in launches.iter().enumerate() {
        match all.last_mut() {
            Some(last) if joins(&launches[last.clone()], launch) => last.end += 1,
            _ => all.push(i..i + 1),
        }
    }
    all
}

/// Workgroups of the update kernel, each of several pieces.
pub(crate) fn update_workgroups(launch: &Launch) -> u64 {
    launch.count_pieces(&launch.update_spans(), UPDATE_PIECE).div_ceil(UPDATE_PIECES)
}

/// Workgroups of the norm kernel, each of a piece.
pub(crate) fn norm_workgroups(launch: &Launch) -> u64 {
    launch.count_pieces(&launch.norm_spans(), NORM_PIECE)
}

/// Workgroups that fit in a dispatch.
fn room(limits: &Limits) -> u64 {
    limits.workgroups * limits.workgroups
}

fn elements(launch: &Launch) -> u32 {
    launch.segments.iter().map(|segment| segment.end - segment.begin).sum()
}

/// Whether a bundle of updates may have it. Where param and grad share a buffer, no other launch can bind that.
fn is_small(launch: &Launch) -> bool {
    launch.update_spans().len() == 1 && elements(launch) <= SMALL && launch.param.buffer != launch.grad.buffer
}

/// Whether one dispatch can have both: it binds nothing a second time that it writes.
fn are_apart(a: &Launch, b: &Launch, zero_grad: bool) -> bool {
    let params = a.param.buffer != b.param.buffer;
    let grads = !zero_grad || a.grad.buffer != b.grad.buffer;
    params && grads && a.param.buffer != b.grad.buffer && b.param.buffer != a.grad.buffer
}

/// Sorts the launches so that each bundle of the update kernel is a stretch of them, and says where in the bundle's state
/// each has its own.
pub(crate) fn bundled(launches: Vec<Launch>, zero_grad: bool, limits: &Limits) -> (Vec<Launch>, Vec<Range<usize>>) {
    let (mut small, mut launches): (Vec<_>, Vec<_>) = launches.into_iter().partition(is_small);
    let key = |launch: &Launch| (launch.kind, launch.loose, launch.segments[0].group);
    small.sort_by_key(key);
    launches.append(&mut small);
    let bundles = stretches(&launches, |bundle, launch| {
        let words: u32 = bundle.iter().map(Launch::state_words).sum();
        is_small(launch)
            && is_small(&bundle[0])
            && key(&bundle[0]) == key(launch)
            && bundle.len() < most_updates(&launch.kind, limits)
            && u64::from(words + launch.state_words()) * STATE_WORD <= limits.binding
            && bundle.iter().map(update_workgroups).sum::<u64>() + update_workgroups(launch) <= room(limits)
            && bundle.iter().all(|other| are_apart(other, launch, zero_grad))
    });
    for bundle in &bundles {
        let mut words = 0;
        for launch in &mut launches[bundle.clone()] {
            launch.state = words;
            words += launch.state_words();
        }
        launches[bundle.clone()].iter_mut().for_each(|launch| launch.first_scale = words);
    }
    (launches, bundles)
}

/// The bundles of the norm kernel, which only reads what is the caller's.
pub(crate) fn norms(launches: &[Launch], limits: &Limits) -> Vec<Range<usize>> {
    let key = |launch: &Launch| (launch.kind.grad, launch.loose);
    let is_small = |launch: &Launch| launch.norm_spans().len() == 1 && elements(launch) <= SMALL;
    stretches(launches, |bundle, launch| {
        is_small(launch)
            && is_small(&bundle[0])
            && key(&bundle[0]) == key(launch)
            && bundle.len() < most_norms(limits)
            && bundle.iter().map(norm_workgroups).sum::<u64>() + norm_workgroups(launch) <= room(limits)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::config::dtype::Format;
    use crate::config::precision::{Precision, StateFormat};
    use crate::config::rule::Rule;
    use crate::num::block8::BLOCK;
    use crate::plan::partition::{Place, Placed, Plan, plan};

    /// Each in its own part of some buffer: length, buffers, elements that the grads are shifted by, group, and whether its
    /// state is in blocks.
    type Given = (u64, usize, usize, u64, u32, bool);

    fn placed(given: &[Given]) -> Vec<Placed> {
        let place = |(tensor, &(len, param, grad, shift, group, in_blocks)): (usize, &Given)| {
            let state = if in_blocks { StateFormat::Block8 } else { StateFormat::F32 };
            let precision = Precision { state, state_min_len: 0, ..Precision::default() };
            let kind = Kind::new("x", Rule::Adam, Format::F32, Format::F32, len, &precision).unwrap();
            let at = |buffer, shift| Place { buffer, offset: ((tensor as u64) << 20) + 4 * shift, size: 1 << 30 };
            let (param, grad) = (at(param, 0), at(grad, (1 << 16) + shift));
            Placed { tensor, group, kind, grad_scale: 1.0, param, grad, len }
        };
        given.iter().enumerate().map(place).collect()
    }

    fn given() -> impl Strategy<Value = Vec<Given>> {
        let len = prop_oneof![1..70_u64, 1..3000_u64, 16_000..17_000_u64];
        let buffer = || prop_oneof![0..3_usize, 0..40_usize];
        prop::collection::vec((len, buffer(), buffer(), 0..3_u64, 0..2_u32, any::<bool>()), 1..30)
    }

    proptest! {
        #[test]
        fn bundles_are_small_and_write_nothing_twice(
            given in given(), zero_grad: bool, storage in 4..20_usize,
            binding in prop_oneof![Just(1 << 27), Just(8192_u64)], workgroups in prop_oneof![1..4_u64, Just(65_535)],
        ) {
            let placed = placed(&given);
            let limits = Limits { storage, binding, workgroups, ..Limits::DEFAULT };
            let Plan { launches, bundles } = plan(&placed, zero_grad, &limits).unwrap();
            prop_assert_eq!(bundles.iter().cloned().flatten().collect::<Vec<_>>(), (0..launches.len()).collect::<Vec<_>>());
            for bundle in &bundles {
                let bundle = &launches[bundle.clone()];
                let (first, several) = (&bundle[0], bundle.len() > 1);
                prop_assert!(!several || first.kind.memories().count() + 2 * bundle.len() <= storage);
                let (mut written, mut read, mut words) = (HashSet::new(), HashSet::new(), 0);
                for launch in bundle {
                    prop_assert_eq!((launch.kind, launch.loose), (first.kind, first.loose));
                    prop_assert_eq!(launch.segments[0].group, first.segments[0].group);
                    prop_assert!(!several || launch.update_spans().len() == 1 && elements(launch) <= SMALL);
                    prop_assert!(written.insert(launch.param.buffer) || !several);
                    if zero_grad {
                        prop_assert!(written.insert(launch.grad.buffer) || !several);
                    } else {
                        read.insert(launch.grad.buffer);
                    }
                    // One behind the other in the state.
                    prop_assert_eq!(launch.state, words);
                    for (i, span) in launch.update_spans().iter().enumerate() {
                        let begin = span.of_state().start as u32 / 4;
                        prop_assert!(begin >= words && (i > 0 || begin == words));
                        prop_assert!(!launch.kind.in_blocks() || u64::from(begin * 4).is_multiple_of(BLOCK));
                    }
                    words += launch.state_words();
                }
                prop_assert!(!several || written.is_disjoint(&read));
                prop_assert!(u64::from(words) * STATE_WORD <= binding);
                prop_assert!(bundle.iter().map(update_workgroups).sum::<u64>() <= room(&limits));
                prop_assert!(bundle.iter().all(|launch| launch.first_scale == words));
            }
            for norms in norms(&launches, &limits) {
                prop_assert!(norms.len() < storage);
                prop_assert!(launches[norms].iter().map(norm_workgroups).sum::<u64>() <= room(&limits));
            }
        }
    }

    #[test]
    fn as_many_as_the_limit_allows() {
        let scattered: Vec<Given> = (0..1000).map(|i| (1000, 2 * i, 2 * i + 1, 0, 0, false)).collect();
        let count = |given: &[Given], storage| {
            let limits = Limits { storage, ..Limits::DEFAULT };
            let Plan { launches, bundles } = plan(&placed(given), false, &limits).unwrap();
            (bundles.len(), norms(&launches, &limits).len())
        };
        assert_eq!(count(&scattered, 8), (334, 200));
        assert_eq!(count(&scattered, 5), (1000, 250));
        assert_eq!(count(&scattered, 32), (200, 200));
        // Large ones stay alone.
        let large: Vec<Given> = (0..10).map(|i| (20_000, 2 * i, 2 * i + 1, 0, 0, false)).collect();
        assert_eq!(count(&large, 8), (10, 10));
        // Grads may have a buffer in common where they are only read, params not.
        let grads: Vec<Given> = (0..9).map(|i| (1000, 1 + i, 0, 0, 0, false)).collect();
        assert_eq!(count(&grads, 8).0, 3);
        assert_eq!(plan(&placed(&grads), true, &Limits::DEFAULT).unwrap().bundles.len(), 9);
        let params: Vec<Given> = (0..9).map(|i| (1000, 0, 1 + i, 0, 0, false)).collect();
        assert_eq!(count(&params, 8).0, 9);
    }
}
