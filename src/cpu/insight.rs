//! Measures the coming step between `tick` and `update`. Twin of `insight.wgsl`, `snr.wgsl` and `insight_finish.wgsl`.

use rayon::prelude::*;

use crate::config::rule::Rule;
use crate::cpu::gradient::{decay_of, gradient};
use crate::cpu::moments::Moments;
use crate::cpu::records::{INVOCATIONS, Quad, WIDTH, add, reduce, squares};
use crate::cpu::rows::{Active, Step};
use crate::cpu::rules;
use crate::cpu::rules::State;
use crate::cpu::storage::Floats;
use crate::num::quad::magnitude;
use crate::plan::region::{INSIGHT_QUADS, Region, Segment, Tile};
use crate::plan::rows::RowsRegion;
use crate::report::records::{BINS, Finding, Measured};
use crate::tick::clock::Clock;
use crate::tick::scalars::Scalars;

/// The inputs of the kernel for one segment.
pub(crate) struct Inputs<'a> {
    pub region: &'a Region,
    pub segment: &'a Segment,
    pub s: &'a Scalars,
    pub param: &'a [f32],
    pub grad: &'a [f32],
    pub moments: &'a Moments,
}

/// One finding for each segment, region by region. `rows` returns the rows of a tensor of rows.
pub(crate) fn insight<'a>(
    regions: &[Region],
    scalars: &[Scalars],
    clocks: &[Clock],
    tensors: &[Floats],
    moments: &[Moments],
    rows: impl Fn(usize) -> Option<Step<'a>> + Sync,
) -> Vec<Finding> {
    let segments = regions
        .iter()
        .flat_map(|region| region.spans_of_segments().map(move |(segment, span)| (region, segment, span)));
    let findings = segments.map(|(region, segment, span)| {
        let s = &scalars[segment.clock as usize];
        let clock = &clocks[segment.clock as usize];
        let tensor = &tensors[segment.tensor];
        let moments = &moments[segment.tensor];
        let inputs = Inputs { region, segment, s, param: &tensor.param, grad: &tensor.grad, moments };
        let tiles = region.insight_tiles(segment, span);
        let of_rows = rows(segment.tensor);
        let record = |tile: &Tile| match (&of_rows, &region.rows) {
            (Some(step), Some(rows)) => workgroup_of_rows(&inputs, step, rows, tile.quad),
            _ => workgroup(&inputs, tile),
        };
        let records: Vec<_> = tiles.par_iter().map(record).collect();
        let (measured, bins) = finish(&records);
        Finding { measured, bins, did_step: s.do_step, t: clock.t, lr: clock.lr, unscale: s.unscale }
    });
    findings.collect()
}

fn bin(ratio: f32) -> usize {
    ((ratio.to_bits() >> 23).clamp(114, 129) - 114) as usize
}

fn measure_snr(s: &Scalars, state: &[State; WIDTH], mask: [bool; WIDTH], bins: &mut [u32; BINS]) -> f32 {
    let mut ratios = [0f32; WIDTH];
    for (lane, state) in state.iter().enumerate() {
        let ratio = (s.snr * state.m.abs()) / state.v.sqrt();
        let there = (0x0080_0000..0x7f80_0000).contains(&state.v.to_bits());
        if mask[lane] && there && ratio.to_bits() < 0x7f80_0000 {
            bins[bin(ratio)] += 1;
            ratios[lane] = ratio;
        }
    }
    (ratios[0] + ratios[1]) + (ratios[2] + ratios[3])
}

/// A quad with its state before the step.
pub(crate) struct Loaded {
    pub grad: Quad,
    pub param: Quad,
    pub state: [State; WIDTH],
    pub mask: [bool; WIDTH],
    /// Multiplies the step.
    pub rate: Quad,
}

/// Measures the elements of a quad that are in the mask.
fn measured(s: &Scalars, rule: Rule, loaded: Loaded, bins: &mut [u32; BINS]) -> Measured {
    let Loaded { grad, param, mut state, mask, rate } = loaded;
    let finite = grad.map(|grad| magnitude(grad) < 0x7f80_0000);
    let count = |which: &dyn Fn(usize) -> bool| (0..WIDTH).filter(|lane| mask[*lane] && which(*lane)).count() as u32;
    let mut measured = Measured {
        grad: squares(std::array::from_fn(|lane| if finite[lane] { grad[lane] } else { 0.0 })),
        param: squares(param),
        zero: count(&|lane| magnitude(grad[lane]) == 0),
        nonfinite: count(&|lane| !finite[lane]),
        elements: count(&|_| true),
        ..Measured::default()
    };
    if s.do_step != 0 {
        let apply = rules::of(rule);
        let steps: Quad =
            std::array::from_fn(|lane| apply(s, &mut state[lane], gradient::<true>(s, grad[lane], param[lane])));
        let masked = |value: &dyn Fn(usize) -> f32| -> Quad {
            std::array::from_fn(|lane| if mask[lane] { value(lane) } else { 0.0 })
        };
        let step = masked(&|lane| rate[lane] * steps[lane]);
        measured.step = squares(step);
        let update = |lane: usize| rate[lane] * (decay_of::<true>(s, param[lane], steps[lane]) + steps[lane]);
        measured.update = squares(masked(&update));
        measured.largest_step = step.map(magnitude).into_iter().fold(0, u32::max).min(0x7fc0_0000);
        if rule.has_snr() {
            measured.snr = measure_snr(s, &state, mask, bins);
        }
    }
    measured
}

/// The elements of one quad that are in the tile.
pub(crate) fn load(inputs: &Inputs, quad: usize, tile: &Tile) -> Loaded {
    let s = inputs.s;
    let element = |lane: usize| quad * WIDTH + lane;
    let mask: [bool; WIDTH] =
        std::array::from_fn(|lane| (tile.begin as usize..tile.end as usize).contains(&element(lane)));
    let value = |values: &[f32], lane: usize| {
        let at = inputs.segment.first as usize + element(lane) - inputs.segment.begin as usize;
        values.get(at).copied().unwrap_or(0.0)
    };
    // The kernel loads the neighbours of the tensor and masks them. Here they are not loaded.
    let load =
        |values: &[f32]| -> Quad { std::array::from_fn(|lane| if mask[lane] { value(values, lane) } else { 0.0 }) };
    let [grad, param] = [inputs.grad, inputs.param].map(load);
    let [m, v, v_max] = [&inputs.moments.m, &inputs.moments.v, &inputs.moments.v_max].map(|moment| load(moment));
    let state = std::array::from_fn(|lane| {
        let g = gradient::<true>(s, grad[lane], param[lane]);
        State { m: m[lane], v: v[lane], v_max: v_max[lane], square: g * g, param: param[lane] }
    });
    Loaded { grad, param, state, mask, rate: [1.0; WIDTH] }
}

/// Measures the quad `k` of an active row.
fn measure_of_row(inputs: &Inputs, step: &Step, active: Active, k: usize, bins: &mut [u32; BINS]) -> Measured {
    let width = step.rows.width as usize;
    let s = step.scalars(step.t_of(active.row, inputs.moments));
    let mask: [bool; WIDTH] = std::array::from_fn(|lane| k * WIDTH + lane < width);
    let load = |values: &[f32], row: usize| -> Quad {
        let at = |lane: usize| values.get(row * width + k * WIDTH + lane).copied().unwrap_or(0.0);
        std::array::from_fn(|lane| if mask[lane] { at(lane) } else { 0.0 })
    };
    let (grad, param) = (load(inputs.grad, active.grad), load(inputs.param, active.row));
    let [m, v, v_max] = [&inputs.moments.m, &inputs.moments.v, &inputs.moments.v_max].map(|all| load(all, active.row));
    let of_row = step.second_moment(active, inputs.grad, inputs.param, inputs.moments);
    let state = std::array::from_fn(|lane| {
        let g = if mask[lane] { gradient::<true>(&s, grad[lane], param[lane]) } else { 0.0 };
        let (v, square) = of_row.unwrap_or((v[lane], g * g));
        State { m: m[lane], v, v_max: v_max[lane], square, param: param[lane] }
    });
    let rate = |lane: usize| if mask[lane] { step.rate(active.row, k * WIDTH + lane) } else { 0.0 };
    let loaded = Loaded { grad, param, state, mask, rate: std::array::from_fn(rate) };
    measured(&s, inputs.region.storage.rule, loaded, bins)
}

/// The record of one workgroup for a tile of rows.
fn workgroup_of_rows(inputs: &Inputs, step: &Step, rows: &RowsRegion, tile: u32) -> (Measured, [u32; BINS]) {
    let (quads, tile_rows) = (rows.quads() as usize, rows.insight_rows() as usize);
    let candidates = rows.candidates(step.candidates);
    let mut bins = [0; BINS];
    let mut tree = [Measured::default(); INVOCATIONS];
    for k in 0..INSIGHT_QUADS as usize {
        for (index, mine) in tree.iter_mut().enumerate() {
            let slot = index + k * INVOCATIONS;
            let candidate = candidates.get(tile as usize * tile_rows + slot / quads).copied().flatten();
            let in_region = |active: &Active| rows.has(active.row);
            if let Some(active) = candidate.filter(|_| slot / quads < tile_rows).filter(in_region) {
                *mine = add(*mine, measure_of_row(inputs, step, active, slot % quads, &mut bins));
            }
        }
    }
    (reduce(&tree, add), bins)
}

/// The record of one workgroup.
fn workgroup(inputs: &Inputs, tile: &Tile) -> (Measured, [u32; BINS]) {
    let mut bins = [0; BINS];
    let mut tree = [Measured::default(); INVOCATIONS];
    for k in 0..INSIGHT_QUADS as usize {
        for (index, mine) in tree.iter_mut().enumerate() {
            let quad = tile.quad as usize + index + k * INVOCATIONS;
            if quad * WIDTH < tile.end as usize {
                *mine = add(*mine, measured(inputs.s, inputs.region.storage.rule, load(inputs, quad, tile), &mut bins));
            }
        }
    }
    (reduce(&tree, add), bins)
}

/// Adds up the records: each invocation its own in ascending order, then the tree all of them.
fn finish(records: &[(Measured, [u32; BINS])]) -> (Measured, [u32; BINS]) {
    let mut bins = [0; BINS];
    let mut tree = [Measured::default(); INVOCATIONS];
    for (i, (measured, record_bins)) in records.iter().enumerate() {
        let mine = &mut tree[i % INVOCATIONS];
        *mine = add(*mine, *measured);
        bins.iter_mut().zip(record_bins).for_each(|(bin, count)| *bin += count);
    }
    (reduce(&tree, add), bins)
}
