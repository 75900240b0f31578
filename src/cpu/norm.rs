//! Sums of squares of the gradients and the first non-finite one: one partial per workgroup. Twin of `norm.wgsl` and
//! `partial.wgsl`.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::cpu::rows::Active;
use crate::cpu::storage::Floats;
use crate::num::quad::{LANES, LINE, magnitude};
use crate::plan::clocks::ClockMap;
use crate::plan::region::{NORM_QUADS, NORM_TILE, Region, Tile};
use crate::plan::rows::RowsRegion;
use crate::tick::partial::{DOWN, INVOCATIONS, Partial, UP, reduce};

/// The gradients that neighbouring invocations load at once.
type Line = [f32; (LINE * LANES) as usize];

/// The consecutive lines of neighbouring invocations.
const LINES: usize = NORM_QUADS as usize;

/// Returns all partials, region by region. `active` has the candidates of each tensor of rows.
pub(crate) fn norm(
    regions: &[Region],
    clocks: &ClockMap,
    slots: &[Floats],
    active: &[Vec<Option<Active>>],
    nonfinite_bits: u32,
) -> Vec<Partial> {
    let partials = |region: &Region| match &region.rows {
        Some(rows) => of_rows(region, rows, clocks, slots, active, nonfinite_bits),
        None => of_tiles(region, clocks, slots, nonfinite_bits),
    };
    regions.iter().flat_map(partials).collect()
}

/// The partials of a region of rows. A workgroup has every n-th tile.
fn of_rows(
    region: &Region,
    rows: &RowsRegion,
    clocks: &ClockMap,
    slots: &[Floats],
    active: &[Vec<Option<Active>>],
    nonfinite_bits: u32,
) -> Vec<Partial> {
    let segment = &region.segments[0];
    let grad = &slots[segment.tensor].grad;
    let is_active = clocks.is_active(segment.clock as usize);
    let candidates = rows.candidates(&active[segment.tensor]);
    let in_region = |active: &Active| rows.has(active.row);
    let (width, quads, tile_rows) = (rows.width as usize, rows.quads() as usize, rows.norm_rows() as usize);
    // The gradients of a slot, and the number of its first element in the region.
    let slot = |tile: usize, number: usize| {
        let (local, k) = (number / quads, number % quads);
        let candidate = candidates.get(tile * tile_rows + local).copied().flatten();
        let Active { row, grad: grad_row } = candidate.filter(|_| local < tile_rows).filter(in_region)?;
        let from = grad_row * width + k * LANES as usize;
        let g = &grad[from..(from + LANES as usize).min((grad_row + 1) * width)];
        Some((g, segment.begin as usize + (row - rows.first as usize) * width + k * LANES as usize))
    };
    let tiles = if is_active { candidates.len().div_ceil(tile_rows) } else { 0 };
    let partials = rows.partials() as usize;
    let workgroup = |at: usize| {
        let invocation = |index: usize| {
            let index_in_tile = index / LINE as usize * (LINE as usize * LINES) + index % LINE as usize;
            let own = || {
                (at..tiles)
                    .step_by(partials)
                    .flat_map(move |tile| (0..LINES).filter_map(move |k| slot(tile, index_in_tile + k * LINE as usize)))
            };
            let (mut squares, mut top) = ([0.0; LANES as usize], 0);
            for (lane, g) in own().flat_map(|(g, _)| g.iter().enumerate()) {
                squares[lane] += g * g;
                top = top.max(magnitude(*g));
            }
            if !is_rare(top) {
                return Partial { middle: sum(squares), ..Partial::ZERO };
            }
            let scale = if top >= BIG { DOWN } else { UP };
            let mut mine = Partial::ZERO;
            squares = [0.0; LANES as usize];
            for (g, element) in own() {
                for (lane, g) in g.iter().enumerate() {
                    squares[lane] += (scale * g) * (scale * g);
                    if magnitude(*g) >= nonfinite_bits {
                        mine.first_nonfinite = mine.first_nonfinite.min((element + lane) as u32);
                    }
                }
            }
            *(if top >= BIG { &mut mine.big } else { &mut mine.small }) = sum(squares);
            mine
        };
        let invocations: [Partial; INVOCATIONS] = std::array::from_fn(invocation);
        reduce(&invocations)
    };
    (0..partials).into_par_iter().map(workgroup).collect()
}

/// The partials of a region whose tensors are stepped element by element.
fn of_tiles(region: &Region, clocks: &ClockMap, slots: &[Floats], nonfinite_bits: u32) -> Vec<Partial> {
    let tiles = region.norm_tiles(clocks);
    tiles.par_iter().map(|tile| workgroup(region, tile, slots, nonfinite_bits)).collect()
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
    if let Some(middle) = usual(&squares, &top) {
        return Partial { middle, ..Partial::ZERO };
    }
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

/// The sum of all squares, in the order of [`reduce`], if no invocation needs rescaling. This is nearly always so, and then
/// takes a third of the time of a partial for each invocation.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn usual(squares: &[Lanes<f32>; INVOCATIONS], top: &[Lanes<u32>; INVOCATIONS]) -> Option<f32> {
    let tops = top.map(|[x, y, z, w]| x.max(y).max(z.max(w)));
    if tops.into_iter().fold(false, |rare, top| rare | is_rare(top)) {
        return None;
    }
    let sums = squares.map(sum);
    let mut level = [0.0; 16];
    for (i, terms) in sums.chunks_exact(16).enumerate() {
        for (sum, term) in level.iter_mut().zip(terms) {
            *sum = if i == 0 { *term } else { *sum + term };
        }
    }
    level.into_iter().reduce(|a, b| a + b)
}

/// Whether gradients with this largest magnitude must be rescaled, or are not finite.
#[inline(always)]
fn is_rare(top: u32) -> bool {
    (top != 0 && top < SMALL) || top >= BIG
}

#[inline(always)]
fn sum([x, y, z, w]: Lanes<f32>) -> f32 {
    (x + y) + (z + w)
}

/// The partial of one invocation. Its sum nearly always needs no rescaling.
fn invocation(lines: &[Line], index: usize, squares: Lanes<f32>, top: Lanes<u32>) -> Partial {
    let top = top.into_iter().fold(0, u32::max);
    if is_rare(top) { rescaled_sum(lines, index, top) } else { Partial { middle: sum(squares), ..Partial::ZERO } }
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
