//! The factor of the step of each tensor, for LAMB, StableAdamW and Cautious AdamW. Twin of the files of `shaders/rescale/`.

use rayon::prelude::*;

use crate::config::rule::Rescale;
use crate::cpu::gradient::{decay_of, gradient, larger};
use crate::cpu::insight::{Inputs, Loaded, load};
use crate::cpu::moments::Moments;
use crate::cpu::records::{INVOCATIONS, Quad, WIDTH, add_squares, reduce, squares};
use crate::cpu::rules;
use crate::cpu::rules::agrees;
use crate::cpu::storage::Floats;
use crate::plan::region::{INSIGHT_QUADS, Region, Tile};
use crate::plan::rescales::Rescales;
use crate::report::records::Sums;
use crate::tick::scalars::Scalars;

fn add(a: Sums, b: Sums) -> Sums {
    Sums { above: add_squares(a.above, b.above), below: add_squares(a.below, b.below) }
}

/// What one quad adds to the sums.
fn terms(s: &Scalars, inputs: &Inputs, rescale: Rescale, loaded: Loaded) -> Sums {
    let Loaded { grad, param, mut state, mask, .. } = loaded;
    let masked = |value: &dyn Fn(usize) -> f32| -> Quad {
        std::array::from_fn(|lane| if mask[lane] { value(lane) } else { 0.0 })
    };
    let apply = rules::of(inputs.region.storage.rule);
    let g: Quad = std::array::from_fn(|lane| gradient::<true>(s, grad[lane], param[lane]));
    let step: Quad = std::array::from_fn(|lane| apply(s, &mut state[lane], g[lane]));
    let (above, below) = match rescale {
        Rescale::Lamb => {
            (masked(&|lane| param[lane]), masked(&|lane| decay_of::<true>(s, param[lane], step[lane]) + step[lane]))
        }
        Rescale::Stable => {
            let below = |lane: usize| {
                let root = state[lane].v.sqrt() * s.v_coef;
                larger(s.eps, if root == 0.0 { s.min_root } else { root })
            };
            (masked(&|lane| g[lane] / below(lane)), masked(&|_| 1.0))
        }
        Rescale::Cautious => (masked(&|lane| f32::from(u8::from(agrees(state[lane].m, g[lane])))), masked(&|_| 1.0)),
    };
    Sums { above: squares(above), below: squares(below) }
}

/// The sums of one workgroup.
fn workgroup(inputs: &Inputs, rescale: Rescale, tile: &Tile) -> Sums {
    let mut tree = [Sums::default(); INVOCATIONS];
    for k in 0..INSIGHT_QUADS as usize {
        for (index, mine) in tree.iter_mut().enumerate() {
            let quad = tile.quad as usize + index + k * INVOCATIONS;
            if inputs.s.do_step != 0 && quad * WIDTH < tile.end as usize {
                *mine = add(*mine, terms(inputs.s, inputs, rescale, load(inputs, quad, tile)));
            }
        }
    }
    reduce(&tree, add)
}

/// The root of above / below. 0 without a sum above or below, or with a non-finite one.
fn root_of_quotient(total: Sums) -> f32 {
    let (a, b) = (total.above.exponent, total.below.exponent);
    if a == 0 || b == 0 || a == 255 || b == 255 {
        return 0.0;
    }
    let power_of_two = |exponent: i32| f32::from_bits(((exponent + 127) as u32) << 23);
    let exponent = a as i32 - b as i32;
    let half = exponent / 2;
    (total.above.sum / total.below.sum).sqrt() * power_of_two(half) * power_of_two(exponent - half)
}

fn factor(rescale: Rescale, root: f32, lr: f32) -> f32 {
    match rescale {
        Rescale::Lamb if root == 0.0 => 1.0,
        Rescale::Lamb => lr * root,
        Rescale::Stable => 1.0 / root.max(1.0),
        Rescale::Cautious => 1.0 / (root * root).max(1e-3),
    }
}

/// Multiplies the scalars of each clock by the factor of its tensor.
pub(crate) fn rescale(
    rescales: &Rescales,
    regions: &[Region],
    scalars: &mut [Scalars],
    tensors: &[Floats],
    moments: &[Moments],
) {
    let mut sums: Vec<Sums> = Vec::new();
    for (i, _) in &rescales.regions {
        let region = &regions[*i];
        let Some(rescale) = region.storage.rule.rescale() else { continue };
        for (segment, span) in region.spans_of_segments() {
            let tensor = &tensors[segment.tensor];
            let (s, moments) = (&scalars[segment.clock as usize], &moments[segment.tensor]);
            let inputs = Inputs { region, segment, s, param: &tensor.param, grad: &tensor.grad, moments };
            sums.par_extend(
                region.insight_tiles(segment, span).par_iter().map(|tile| workgroup(&inputs, rescale, tile)),
            );
        }
    }
    for (rescale, lists) in &rescales.lists {
        for (list, s) in lists.iter().zip(&mut *scalars).filter(|(list, _)| !list.is_empty()) {
            let mut tree = [Sums::default(); INVOCATIONS];
            list.iter().enumerate().for_each(|(i, &tile)| {
                let mine = &mut tree[i % INVOCATIONS];
                *mine = add(*mine, sums[tile as usize]);
            });
            let factor = factor(*rescale, root_of_quotient(reduce(&tree, add)), s.lr);
            s.m_coef *= factor;
            if *rescale != Rescale::Cautious {
                s.decay *= factor;
            }
        }
    }
}
