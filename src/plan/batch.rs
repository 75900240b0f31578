//! Batches: small regions that share one dispatch, because a dispatch costs more than they do. Separately allocated
//! tensors mostly become such regions. Each region has its own bindings, so the device's limit of storage buffers
//! bounds the number of regions in a batch: three, for Adam and the default limits. Pure functions: no GPU is needed to
//! test them. Twin of `many_regions.wgsl`.

use std::ops::Range;

use crate::num::order::order;
use crate::plan::limits::Limits;
use crate::plan::region::{QUAD_BYTES, Region, TILES_A_WORKGROUP, UPDATE_TILE};
use crate::plan::storage::Storage;

/// Regions of at most this many elements are batched. Measured: see `benches/NOTES.md`.
const SMALL: u32 = 16 * 1024;
/// The most regions in a batch. More gain little, and a kernel is compiled for each number in use.
const MOST: usize = 5;

/// The most regions of a storage that fit in one dispatch of the update kernel. Each region binds a param and a grad;
/// the batch binds each state tensor once.
fn most_updates(storage: &Storage, limits: &Limits) -> usize {
    (limits.storage_buffers.saturating_sub(storage.state_kinds().count()) / 2).clamp(1, MOST)
}

/// The most regions that fit in one dispatch of the norm kernel. Each region binds a grad; the batch binds the partials
/// once.
fn most_norms(limits: &Limits) -> usize {
    limits.storage_buffers.saturating_sub(1).clamp(1, MOST)
}

/// Cuts a list into runs. A run ends where `joins` refuses the next region.
fn runs(regions: &[Region], joins: impl Fn(&[Region], &Region) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (i, region) in regions.iter().enumerate() {
        match runs.last_mut() {
            Some(last) if joins(&regions[last.clone()], region) => last.end += 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

/// The workgroups of the update kernel that a region needs. A workgroup has several tiles.
pub(crate) fn update_workgroups(region: &Region) -> u64 {
    if let Some(rows) = &region.rows {
        return rows.update_workgroups();
    }
    region.count_tiles(&region.update_spans(), UPDATE_TILE).div_ceil(TILES_A_WORKGROUP)
}

/// The most workgroups in a dispatch.
fn most_workgroups(limits: &Limits) -> u64 {
    limits.workgroups * limits.workgroups
}

fn elements(region: &Region) -> u32 {
    region.segments.iter().map(|segment| segment.end - segment.begin).sum()
}

/// Whether a region may share a dispatch of the update kernel. If its param and grad share a buffer, no other region of
/// the dispatch can bind that buffer.
fn is_small(region: &Region) -> bool {
    let apart = region.param.buffer != region.grad.buffer;
    region.rows.is_none() && region.update_spans().len() == 1 && elements(region) <= SMALL && apart
}

/// Whether two regions can share a dispatch, which must not bind bytes twice if it writes to them, nor read a buffer through one
/// binding and write to it through another.
fn are_apart(a: &Region, b: &Region, zero_grad: bool) -> bool {
    let params = !a.param.overlaps(&b.param);
    let grads = !zero_grad || !a.grad.overlaps(&b.grad);
    params && grads && a.param.buffer != b.grad.buffer && b.param.buffer != a.grad.buffer
}

/// Sorts the regions so that each batch of the update kernel is a run of them, and sets where the state of each region
/// begins in the state of its batch.
pub(crate) fn batched(regions: Vec<Region>, zero_grad: bool, limits: &Limits) -> (Vec<Region>, Vec<Range<usize>>) {
    let (small, mut regions): (Vec<_>, Vec<_>) = regions.into_iter().partition(is_small);
    let key = |region: &Region| (region.storage, region.unaligned, region.segments[0].clock);
    let sorted = order(small.len(), &|a, b| key(&small[a]).cmp(&key(&small[b])));
    regions.extend(sorted.into_iter().map(|i| small[i].clone()));
    let batches = runs(&regions, |batch, region| {
        let quads: u32 = batch.iter().map(Region::state_quads).sum();
        is_small(region)
            && is_small(&batch[0])
            && key(&batch[0]) == key(region)
            && batch.len() < most_updates(&region.storage, limits)
            && u64::from(quads + region.state_quads()) * QUAD_BYTES <= limits.binding
            && batch.iter().map(update_workgroups).sum::<u64>() + update_workgroups(region) <= most_workgroups(limits)
            && batch.iter().all(|other| are_apart(other, region, zero_grad))
    });
    for batch in &batches {
        let mut quads = 0;
        for region in &mut regions[batch.clone()] {
            region.state = quads;
            quads += region.state_quads();
        }
        regions[batch.clone()].iter_mut().for_each(|region| region.first_scale = quads);
    }
    (regions, batches)
}

/// The batches of the norm kernel, which only reads the caller's buffers.
pub(crate) fn norms(regions: &[Region], limits: &Limits) -> Vec<Range<usize>> {
    let key = |region: &Region| (region.storage.grad, region.unaligned);
    let is_small =
        |region: &Region| region.rows.is_none() && region.norm_spans().len() == 1 && elements(region) <= SMALL;
    runs(regions, |batch, region| {
        is_small(region)
            && is_small(&batch[0])
            && key(&batch[0]) == key(region)
            && batch.len() < most_norms(limits)
            && batch.iter().map(Region::partials).sum::<u64>() + region.partials() <= most_workgroups(limits)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::config::dtype::Dtype;
    use crate::config::precision::{Precision, StateDtype};
    use crate::config::rule::Rule;
    use crate::num::block8::BLOCK;
    use crate::plan::partition::{Location, Plan, TensorPlan, plan};
    use crate::plan::window::Window;

    /// A tensor: its length, the buffers of its param and its grad, the shift of its grad in elements, its clock, and
    /// whether its state is in blocks. No two tensors overlap.
    type Given = (u64, usize, usize, u64, u32, bool);

    fn tensor_plans(given: &[Given]) -> Vec<TensorPlan> {
        let tensor_plan = |(tensor, &(len, param, grad, shift, clock, in_blocks)): (usize, &Given)| {
            let state = if in_blocks { StateDtype::Block8 } else { StateDtype::F32 };
            let precision = Precision { state, state_min_len: 0, ..Precision::default() };
            let storage = Storage::new("x", Rule::Adam, (Dtype::F32, Dtype::F32), 1.0, len, &precision, None).unwrap();
            let at = |buffer, shift| Location { buffer, offset: ((tensor as u64) << 20) + 4 * shift, size: 1 << 30 };
            let param = at(param, 0);
            let grad = at(grad, (1 << 16) + shift);
            TensorPlan {
                tensor,
                clock,
                storage,
                grad_scale: 1.0,
                param,
                grad,
                len,
                stream_seed: 7,
                share: 0,
                rows: None,
            }
        };
        given.iter().enumerate().map(tensor_plan).collect()
    }

    fn given() -> impl Strategy<Value = Vec<Given>> {
        let len = prop_oneof![1..70_u64, 1..3000_u64, 16_000..17_000_u64];
        let buffer = || prop_oneof![0..3_usize, 0..40_usize];
        prop::collection::vec((len, buffer(), buffer(), 0..3_u64, 0..2_u32, any::<bool>()), 1..30)
    }

    proptest! {
        #[test]
        fn batches_are_small_and_write_nothing_twice(
            given in given(), zero_grad: bool, storage_buffers in 4..20_usize,
            binding in prop_oneof![Just(1 << 27), Just(8192_u64)], workgroups in prop_oneof![1..4_u64, Just(65_535)],
        ) {
            let tensor_plans = tensor_plans(&given);
            let limits = Limits { storage_buffers, binding, workgroups, ..Limits::DEFAULT };
            let Plan { regions, batches } = plan(&tensor_plans, zero_grad, &limits).unwrap();
            prop_assert_eq!(batches.iter().cloned().flatten().collect::<Vec<_>>(), (0..regions.len()).collect::<Vec<_>>());
            for batch in &batches {
                let batch = &regions[batch.clone()];
                let first = &batch[0];
                let several = batch.len() > 1;
                prop_assert!(!several || first.storage.state_kinds().count() + 2 * batch.len() <= storage_buffers);
                let (mut written, mut read) = (HashSet::new(), HashSet::new());
                let mut writable: Vec<Window> = Vec::new();
                let mut quads = 0;
                for region in batch {
                    prop_assert_eq!((region.storage, region.unaligned), (first.storage, first.unaligned));
                    prop_assert_eq!(region.segments[0].clock, first.segments[0].clock);
                    prop_assert!(!several || region.update_spans().len() == 1 && elements(region) <= SMALL);
                    let windows = if zero_grad { &[region.param, region.grad][..] } else { &[region.param] };
                    for window in windows {
                        prop_assert!(!several || writable.iter().all(|other| !other.overlaps(window)));
                        writable.push(*window);
                        written.insert(window.buffer);
                    }
                    if !zero_grad {
                        read.insert(region.grad.buffer);
                    }
                    // The state of the regions has no gaps.
                    prop_assert_eq!(region.state, quads);
                    for (i, span) in region.update_spans().iter().enumerate() {
                        let begin = span.of_state().start as u32 / 4;
                        prop_assert!(begin >= quads && (i > 0 || begin == quads));
                        prop_assert!(!region.storage.in_blocks() || u64::from(begin * 4).is_multiple_of(BLOCK));
                    }
                    quads += region.state_quads();
                }
                prop_assert!(!several || written.is_disjoint(&read));
                prop_assert!(u64::from(quads) * QUAD_BYTES <= binding);
                prop_assert!(batch.iter().map(update_workgroups).sum::<u64>() <= most_workgroups(&limits));
                prop_assert!(batch.iter().all(|region| region.first_scale == quads));
            }
            for norms in norms(&regions, &limits) {
                prop_assert!(norms.len() < storage_buffers);
                prop_assert!(regions[norms].iter().map(Region::partials).sum::<u64>() <= most_workgroups(&limits));
            }
        }
    }

    #[test]
    fn a_batch_has_as_many_regions_as_the_limit_allows() {
        let scattered: Vec<Given> = (0..1000).map(|i| (1000, 2 * i, 2 * i + 1, 0, 0, false)).collect();
        let count = |given: &[Given], storage_buffers| {
            let limits = Limits { storage_buffers, ..Limits::DEFAULT };
            let Plan { regions, batches } = plan(&tensor_plans(given), false, &limits).unwrap();
            (batches.len(), norms(&regions, &limits).len())
        };
        assert_eq!(count(&scattered, 8), (334, 200));
        assert_eq!(count(&scattered, 5), (1000, 250));
        assert_eq!(count(&scattered, 32), (200, 200));
        // Large regions are not batched.
        let large: Vec<Given> = (0..10).map(|i| (20_000, 2 * i, 2 * i + 1, 0, 0, false)).collect();
        assert_eq!(count(&large, 8), (10, 10));
        // Grads may share a buffer, and params may.
        let grads: Vec<Given> = (0..9).map(|i| (1000, 1 + i, 0, 0, 0, false)).collect();
        assert_eq!(count(&grads, 8).0, 3);
        assert_eq!(plan(&tensor_plans(&grads), true, &Limits::DEFAULT).unwrap().batches.len(), 3);
        let params: Vec<Given> = (0..9).map(|i| (1000, 0, 1 + i, 0, 0, false)).collect();
        assert_eq!(count(&params, 8).0, 3);
        // Params that follow each other share a unit of alignment, and so bytes that are bound.
        let mut near = tensor_plans(&params[..8]);
        near.iter_mut().zip(0..).for_each(|(tensor, i)| tensor.param.offset = 4000 * i);
        assert_eq!(plan(&near, false, &Limits::DEFAULT).unwrap().batches.len(), 8);
    }
}
