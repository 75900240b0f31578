//! Sums of squares of the gradients and the first bad one, a partial a block. Twin of `norm.wgsl` and `partial.wgsl`.

use rayon::prelude::*;

use super::Slot;
use crate::plan::{LANES, Launch, NORM_WORDS, Piece, WORKGROUP};
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
/// Lanes of all invocations together.
const WIDTH: usize = INVOCATIONS * LANES as usize;

/// All partials, launch by launch.
pub(super) fn norm(launches: &[Launch], slots: &[Slot], bad_bits: u32) -> Vec<Partial> {
    let pieces = launches.iter().flat_map(|launch| {
        launch.pieces(&launch.norm_spans(), NORM_WORDS).into_iter().map(move |piece| (launch, piece))
    });
    let pieces: Vec<_> = pieces.collect();
    pieces.into_par_iter().map(|(launch, piece)| workgroup(launch, &piece, slots, bad_bits)).collect()
}

/// One workgroup's partial.
fn workgroup(launch: &Launch, own: &Piece, slots: &[Slot], bad_bits: u32) -> Partial {
    let elements = WIDTH * NORM_WORDS as usize;
    let origin = (own.word * LANES as u32) as usize;
    let (begin, end) = (origin.max(own.begin as usize), (origin + elements).min(own.end as usize));
    let behind = launch.segments.partition_point(|s| s.end as usize <= begin);
    let mut gathered = Vec::new();
    let mut grads: &[f32] = &[];
    for segment in launch.segments[behind..].iter().take_while(|s| (s.begin as usize) < end) {
        let (from, to) = (begin.max(segment.begin as usize), end.min(segment.end as usize));
        let first = segment.first as usize + from - segment.begin as usize;
        let part = &slots[segment.tensor].grad[first..first + (to - from)];
        if part.len() == elements {
            grads = part;
        } else {
            // Zeros where the workgroup has no elements.
            gathered.resize(elements, 0.0);
            gathered[from - origin..to - origin].copy_from_slice(part);
        }
    }
    if !gathered.is_empty() {
        grads = &gathered;
    }
    let mut partial = sums(grads);
    if let Some(at) = grads.iter().position(|g| magnitude(*g) >= bad_bits) {
        partial.first_bad = (origin + at) as u32;
    }
    partial
}

fn magnitude(g: f32) -> u32 {
    g.to_bits() & 0x7fff_ffff
}

/// The sums of a workgroup: the eight words of each invocation, lane by lane; then the lanes of each invocation; then the
/// tree.
fn sums(grads: &[f32]) -> Partial {
    let (mut small, mut middle, mut big) = ([0f32; WIDTH], [0f32; WIDTH], [0f32; WIDTH]);
    // That many words has an invocation; a shorter slice is no workgroup's.
    let Ok(words) = <&[[f32; WIDTH]; NORM_WORDS as usize]>::try_from(grads.as_chunks().0) else { return Partial::ZERO };
    for i in 0..WIDTH {
        for g in words.map(|word| word[i]) {
            small[i] += (UP * g) * (UP * g);
            middle[i] += g * g;
            big[i] += (DOWN * g) * (DOWN * g);
        }
    }
    let (small, middle, big) = (small.as_chunks().0, middle.as_chunks().0, big.as_chunks().0);
    let sum = |[x, y, z, w]: [f32; 4]| (x + y) + (z + w);
    let invocation =
        |i: usize| Partial { small: sum(small[i]), middle: sum(middle[i]), big: sum(big[i]), first_bad: NONE };
    reduce(&std::array::from_fn(invocation))
}

/// The tree of one workgroup: two levels of 16.
pub(super) fn reduce(tree: &[Partial; INVOCATIONS]) -> Partial {
    let level: [Partial; 16] = std::array::from_fn(|index| {
        let terms = (index..INVOCATIONS).step_by(16).map(|i| tree[i]);
        terms.reduce(Partial::add).unwrap_or(Partial::ZERO)
    });
    level.into_iter().reduce(Partial::add).unwrap_or(Partial::ZERO)
}

impl Partial {
    pub const ZERO: Self = Self { small: 0.0, middle: 0.0, big: 0.0, first_bad: NONE };

    fn add(self, other: Self) -> Self {
        Self {
            small: self.small + other.small,
            middle: self.middle + other.middle,
            big: self.big + other.big,
            first_bad: self.first_bad.min(other.first_bad),
        }
    }
}
