//! Sums of squares of the gradients and the first non-finite one: one partial per workgroup. Twin of `norm.wgsl` and
//! `partial.wgsl`.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::cpu::storage::Floats;
use crate::num::quad::{LANES, LINE, magnitude};
use crate::plan::clocks::ClockMap;
use crate::plan::region::{NORM_QUADS, NORM_TILE, Region, Tile};
use crate::tick::partial::{DOWN, INVOCATIONS, Partial, UP, reduce};

/// The gradients that neighbouring invocations load at once.
type Line = [f32; (LINE * LANES) as usize];

/// The consecutive lines of neighbouring invocations.
const LINES: usize = NORM_QUADS as usize;

/// Returns all partials, region by region.
pub(crate) fn norm(regions: &[Region], clocks: &ClockMap, slots: &[Floats], nonfinite_bits: u32) -> Vec<Partial> {
    let tiles = regions.iter().flat_map(|region| region.norm_tiles(clocks).into_iter().map(move |tile| (region, tile)));
    let tiles: Vec<_> = tiles.collect();
    tiles.into_par_iter().map(|(region, tile)| workgroup(region, &tile, slots, nonfinite_bits)).collect()
}

/// The partial of one workgroup.
fn workgroup(region: &Region, tile: &Tile, slots: &[Floats], nonfinite_bits: u32) -> Partial {
    let origin = (tile.quad * LANES as u32) as usize;
    let most = (NORM_TILE * LANES) as usize;
    let begin = origin.max(tile.begin as usize);
    let end = (origin + most).min(tile.end as usize);
    if end <= begin {
        return Partial::ZERO;
    }
    // Elements after the end are zeros and add nothing.
    let elements = (end - origin).next_multiple_of(size_of::<Line>() / 4);
    let behind = region.segments.partition_point(|s| s.end as usize <= begin);
    let mut gathered = Vec::new();
    let mut grads: &[f32] = &[];
    for segment in region.segments[behind..].iter().take_while(|s| (s.begin as usize) < end) {
        let from = begin.max(segment.begin as usize);
        let to = end.min(segment.end as usize);
        let first = segment.first as usize + from - segment.begin as usize;
        let own_grads = &slots[segment.tensor].grad[first..first + (to - from)];
        if own_grads.len() == elements {
            grads = own_grads;
        } else {
            gathered.resize(elements, 0.0);
            gathered[from - origin..to - origin].copy_from_slice(own_grads);
        }
    }
    if !gathered.is_empty() {
        grads = &gathered;
    }
    let (lines, _) = grads.as_chunks();
    let (squares, top) = seen(lines);
    let invocations: [Partial; INVOCATIONS] = std::array::from_fn(|i| invocation(lines, i, squares[i], top[i]));
    let mut partial = reduce(&invocations);
    if top.as_flattened().iter().any(|top| *top >= nonfinite_bits)
        && let Some(at) = grads.iter().position(|g| magnitude(*g) >= nonfinite_bits)
    {
        partial.first_nonfinite = (origin + at) as u32;
    }
    partial
}

/// If the largest magnitude is at least 2^46, the gradients are big.
const BIG: u32 = (127 + 46) << 23;

/// If the largest magnitude is below 2^-40, the gradients are small.
const SMALL: u32 = (127 - 40) << 23;

type Lanes<T> = [T; LANES as usize];

/// The sums of squares and the largest magnitudes in each lane of each invocation.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn seen(lines: &[Line]) -> ([Lanes<f32>; INVOCATIONS], [Lanes<u32>; INVOCATIONS]) {
    let mut squares = [[0f32; LANES as usize]; INVOCATIONS];
    let mut top = [[0u32; LANES as usize]; INVOCATIONS];
    let (all_squares, _) = squares.as_flattened_mut().as_chunks_mut();
    let (all_tops, _) = top.as_flattened_mut().as_chunks_mut();
    for ((lines, squares), tops) in lines.chunks(LINES).zip(all_squares).zip(all_tops) {
        let (squares, tops): (&mut Line, &mut [u32; size_of::<Line>() / 4]) = (squares, tops);
        for line in lines {
            for ((square, top), g) in squares.iter_mut().zip(tops.iter_mut()).zip(line) {
                *square += g * g;
                *top = (*top).max(magnitude(*g));
            }
        }
    }
    (squares, top)
}

fn sum([x, y, z, w]: Lanes<f32>) -> f32 {
    (x + y) + (z + w)
}

/// The partial of one invocation. Its sum nearly always needs no rescaling.
fn invocation(lines: &[Line], index: usize, squares: Lanes<f32>, top: Lanes<u32>) -> Partial {
    let top = top.into_iter().fold(0, u32::max);
    let rare = (top != 0 && top < SMALL) || top >= BIG;
    if rare { rescaled_sum(lines, index, top) } else { Partial { middle: sum(squares), ..Partial::ZERO } }
}

/// Sums the same gradients again, at a scale at which their squares neither overflow nor vanish.
fn rescaled_sum(lines: &[Line], index: usize, top: u32) -> Partial {
    let scale = if top >= BIG { DOWN } else { UP };
    let mut squares = [0.0; LANES as usize];
    let neighbours = index / LINE as usize;
    let place = index % LINE as usize;
    for line in lines.chunks(LINES).nth(neighbours).unwrap_or_default() {
        for (square, g) in squares.iter_mut().zip(&line[place * LANES as usize..]) {
            *square += (scale * g) * (scale * g);
        }
    }
    let all = sum(squares);
    if top >= BIG { Partial { big: all, ..Partial::ZERO } } else { Partial { small: all, ..Partial::ZERO } }
}
