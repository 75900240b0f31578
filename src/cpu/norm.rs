//! Sums of squares of the gradients and the first bad one, a partial a block. Twin of `norm.wgsl` and `partial.wgsl`.

use rayon::prelude::*;

use super::Slot;
use crate::plan::{Launch, NORM_WORDS, WORKGROUP};
use crate::report::NONE;
use crate::{Clip, Options};

/// The magnitudes' bits from which on a gradient is not finite.
pub(crate) const NOT_FINITE: u32 = 0x7f80_0000;
/// And from which on its square is not: 2^64.
pub(crate) const NOT_SQUARABLE: u32 = 0x5f80_0000;

/// From where on a gradient is bad: where it is clipped before it is squared, only if it is not finite.
pub(crate) fn bad_bits(options: &Options) -> u32 {
    match options.clip {
        Clip::GlobalNorm(_) | Clip::Value(_) => NOT_FINITE,
        Clip::None => NOT_SQUARABLE,
    }
}

/// What a workgroup leaves for `tick`: the sum of squares at three scales, and the first bad element of the launch.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Partial {
    pub small: f32,
    pub middle: f32,
    pub big: f32,
    pub first_bad: u32,
}

/// 2^80 and 2^-80.
pub(super) const UP: f32 = f32::from_bits((127 + 80) << 23);
pub(super) const DOWN: f32 = f32::from_bits((127 - 80) << 23);

const INVOCATIONS: usize = WORKGROUP as usize;

/// All partials, launch by launch.
pub(super) fn norm(launches: &[Launch], slots: &[Slot], bad_bits: u32) -> Vec<Partial> {
    let blocks: Vec<_> =
        launches.iter().flat_map(|launch| (0..launch.norm_workgroups()).map(move |i| (launch, i))).collect();
    blocks.into_par_iter().map(|(launch, i)| block(launch, i as usize, slots, bad_bits)).collect()
}

/// One workgroup's partial.
fn block(launch: &Launch, index: usize, slots: &[Slot], bad_bits: u32) -> Partial {
    let elements = INVOCATIONS * NORM_WORDS as usize * launch.lanes as usize;
    let (begin, end) = (index * elements, (index + 1) * elements);
    let overlaps = launch.segments.partition_point(|s| s.end as usize <= begin);
    let mut gathered = Vec::new();
    let mut grads: &[f32] = &[];
    for segment in launch.segments[overlaps..].iter().take_while(|s| (s.begin as usize) < end) {
        let (from, to) = (begin.max(segment.begin as usize), end.min(segment.end as usize));
        let first = segment.first as usize + from - segment.begin as usize;
        let part = &slots[segment.tensor].grad[first..first + (to - from)];
        if part.len() == elements {
            grads = part;
        } else {
            // Zeros where the block has no elements.
            gathered.resize(elements, 0.0);
            gathered[from - begin..to - begin].copy_from_slice(part);
        }
    }
    if !gathered.is_empty() {
        grads = &gathered;
    }
    let mut partial = if launch.lanes == 4 { sums::<{ 4 * INVOCATIONS }>(grads) } else { sums::<INVOCATIONS>(grads) };
    let bad = |g: &f32| magnitude(*g) >= bad_bits;
    if let Some(at) = grads.iter().position(bad) {
        partial.first_bad = (begin + at) as u32;
    }
    partial
}

fn magnitude(g: f32) -> u32 {
    g.to_bits() & 0x7fff_ffff
}

/// The sums of a block: `WIDTH` sums, element by element, one for each lane of each invocation; then the lanes of each
/// invocation; then the tree.
fn sums<const WIDTH: usize>(grads: &[f32]) -> Partial {
    let (mut small, mut middle, mut big) = ([0f32; WIDTH], [0f32; WIDTH], [0f32; WIDTH]);
    for row in grads.chunks_exact(WIDTH) {
        for (i, g) in row.iter().enumerate() {
            small[i] += (UP * g) * (UP * g);
            middle[i] += g * g;
            big[i] += (DOWN * g) * (DOWN * g);
        }
    }
    let sum = |x: &[f32]| match x {
        [x, y, z, w] => (x + y) + (z + w),
        _ => x[0],
    };
    let lanes = WIDTH / INVOCATIONS;
    let invocation = |i: usize| {
        let own = i * lanes..(i + 1) * lanes;
        Partial {
            small: sum(&small[own.clone()]),
            middle: sum(&middle[own.clone()]),
            big: sum(&big[own]),
            first_bad: NONE,
        }
    };
    reduce(std::array::from_fn(invocation))
}

/// The tree of one workgroup.
pub(super) fn reduce(mut tree: [Partial; INVOCATIONS]) -> Partial {
    let mut half = INVOCATIONS / 2;
    while half > 0 {
        for i in 0..half {
            let other = tree[i + half];
            tree[i].small += other.small;
            tree[i].middle += other.middle;
            tree[i].big += other.big;
            tree[i].first_bad = tree[i].first_bad.min(other.first_bad);
        }
        half /= 2;
    }
    tree[0]
}
