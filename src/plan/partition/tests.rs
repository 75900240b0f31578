//! Every element is in exactly one region, and every limit of the device is kept.

use proptest::prelude::*;

use super::*;
use crate::config::dtype::Dtype;
use crate::config::precision::{Precision, StateDtype};
use crate::config::rule::Rule;
use crate::plan::region::{NORM_TILE, TILES_A_WORKGROUP};

fn storage(param: Dtype, grad: Dtype, state: StateDtype) -> Storage {
    let precision = Precision { state, state_min_len: 0, ..Precision::default() };
    Storage::new("x", Rule::Adam, (param, grad), 1.0, 1, &precision, None).unwrap()
}

/// Tensors of these lengths, gaps and clocks, one after the other in one buffer of params and one of grads.
fn place(storage: Storage, tensors: &[(u64, u64, u32)], param: u64, grad: u64, slack: u64) -> Vec<TensorPlan> {
    // If the state is in blocks, a tensor begins at a multiple of 4 elements.
    let align = if storage.in_blocks() { LANES } else { 1 };
    let (mut at, param) = (0, param.next_multiple_of(align));
    let mut tensor_plan = Vec::new();
    for (tensor, (len, gap, clock)) in tensors.iter().enumerate() {
        let place = |buffer, begin, stored: Dtype| Location { buffer, offset: (begin + at) * stored.bytes(), size: 0 };
        tensor_plan.push(TensorPlan {
            tensor,
            clock: *clock,
            storage,
            grad_scale: 1.0,
            param: place(0, param, storage.param),
            grad: place(1, grad, storage.grad),
            len: *len,
            stream_seed: tensor as u32,
            share: 0,
            rows: None,
        });
        at = (at + len + gap).next_multiple_of(align);
    }
    for p in &mut tensor_plan {
        let size = |begin: u64, stored: Dtype| ((begin + at + slack) * stored.bytes()).next_multiple_of(4);
        (p.param.size, p.grad.size) = (size(param, storage.param), size(grad, storage.grad));
    }
    tensor_plan
}

fn plain() -> Storage {
    storage(Dtype::F32, Dtype::F32, StateDtype::F32)
}

fn storages() -> impl Strategy<Value = Storage> {
    let formats = || prop_oneof![Just(Dtype::F32), Just(Dtype::F16), Just(Dtype::Bf16)];
    (formats(), formats(), prop_oneof![Just(StateDtype::F32), Just(StateDtype::Bf16), Just(StateDtype::Block8)])
        .prop_map(|(param, grad, state)| storage(param, grad, state))
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
    fn every_element_is_in_one_region_and_all_limits_are_kept(
        storage in storages(), tensors in tensors(), param in 0..130_u64, grad in 0..130_u64, slack in 0..9_u64,
        limits in limits(),
    ) {
        let tensor_plan = place(storage, &tensors, param, grad, slack);
        prop_assume!(tensor_plan[0].block_too_large(&limits).is_none());
        let regions = plan(&tensor_plan, false, &limits).unwrap().regions;
        let (of_param, of_grad) = (storage.param.bytes(), storage.grad.bytes());
        let mut seen: Vec<Vec<u32>> = tensors.iter().map(|t| vec![0; t.0 as usize]).collect();
        for region in &regions {
            let first = &tensor_plan[region.segments[0].tensor];
            for (window, size) in [(region.param, first.param.size), (region.grad, first.grad.size)] {
                prop_assert!(window.offset % limits.align == 0, "aligned");
                prop_assert!(window.bytes <= limits.binding, "within the binding limit");
                prop_assert!(window.offset + window.bytes <= size, "within the buffer");
            }
            prop_assert!(u64::from(region.state_quads()) * QUAD_BYTES <= limits.binding, "the moments too");
            for (spans, quads, each) in
                [(region.update_spans(), UPDATE_TILE, TILES_A_WORKGROUP), (region.norm_spans(), NORM_TILE, 1)]
            {
                let tiles = region.tiles(&spans, quads);
                prop_assert!(spans.len() == 1 || size_of_val(&tiles[..]) as u64 <= limits.binding, "the table too");
                prop_assert_eq!(tiles.len() as u64, region.count_tiles(&spans, quads));
                let workgroups = (tiles.len() as u64).div_ceil(each);
                let [x, y, z] = limits.dimensions(workgroups).map(u64::from);
                prop_assert!(x.max(y).max(z) <= limits.workgroups && x * y * z >= workgroups);
            }
            if storage.in_blocks() {
                prop_assert_eq!(region.segments.len(), region.update_spans().len());
                for (segment, span) in region.spans_of_segments() {
                    let state = span.of_state().start as u64;
                    prop_assert!(segment.first.is_multiple_of(BLOCK) && state.is_multiple_of(BLOCK), "blocks are whole");
                }
            }
            for segment in &region.segments {
                let tensor_plan = &tensor_plan[segment.tensor];
                prop_assert_eq!(segment.clock, tensor_plan.clock);
                for (i, element) in (segment.begin..segment.end).enumerate() {
                    let of_tensor = segment.first + i as u64;
                    seen[segment.tensor][of_tensor as usize] += 1;
                    // The kernel finds the element in both buffers.
                    let in_param = region.param.offset / of_param + u64::from(element);
                    prop_assert_eq!(in_param, tensor_plan.param.offset / of_param + of_tensor);
                    let element = u64::from(element);
                    let shifted = |x: u64| u64::from((x as u32).wrapping_add(region.grad_shift));
                    let in_window =
                        if region.unaligned { shifted(element) } else { shifted(element / LANES) * LANES + element % LANES };
                    let in_grad = region.grad.offset / of_grad + in_window;
                    prop_assert_eq!(in_grad, tensor_plan.grad.offset / of_grad + of_tensor);
                    prop_assert!((element + 1) * of_param <= region.param.bytes);
                }
            }
        }
        prop_assert!(seen.iter().flatten().all(|count| *count == 1));
        for region in regions.iter().filter(|region| region.storage.param.is_half()) {
            for pair in region.update_spans().windows(2) {
                let last = (pair[0].end - 1) / 2;
                let first = pair[1].begin / 2;
                prop_assert!(last < first, "no 32 bits are of two spans");
            }
        }
    }
}

#[test]
fn neighbours_are_one_region_and_strangers_are_not() {
    let count = |tensor_plan: &[TensorPlan]| plan(tensor_plan, false, &Limits::DEFAULT).unwrap().regions.len();
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
    let tensor_plan = place(plain(), &[(40 << 20, 0, 0)], 0, 0, 0);
    let regions = plan(&tensor_plan, false, &Limits::DEFAULT).unwrap().regions;
    assert_eq!(
        regions.iter().map(|region| (region.unaligned, region.state_quads())).collect::<Vec<_>>(),
        [(false, 8 << 20), (false, 2 << 20)]
    );
    assert_eq!(regions[1].segments[0].first, 32 << 20);
}
