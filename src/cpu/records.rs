//! How the measurements of two parts of a tensor are added up. Twin of `records.wgsl`,
//! `squares.wgsl` and `tree.wgsl`.

use crate::num::quad::{LANES, WORKGROUP, magnitude};
use crate::report::records::{Measured, Squares};

pub(crate) const INVOCATIONS: usize = WORKGROUP as usize;
pub(crate) const WIDTH: usize = LANES as usize;

pub(crate) type Quad = [f32; WIDTH];

pub(crate) fn squares(x: Quad) -> Squares {
    let top = x.map(magnitude).into_iter().fold(0, u32::max) >> 23;
    if top == 0 || top == 255 {
        return Squares { sum: 0.0, exponent: top };
    }
    let y = x.map(|x| if magnitude(x) >= 0x0080_0000 { x * f32::from_bits((255 - top) << 23) } else { 0.0 });
    let mut sum = y[0] * y[0];
    for y in &y[1..] {
        sum += y * y;
    }
    Squares { sum, exponent: top }
}

fn weight(exponent: u32, top: u32) -> f32 {
    let below = top - exponent;
    if below >= 32 { 0.0 } else { f32::from_bits((127 - 2 * below) << 23) }
}

pub(crate) fn add_squares(a: Squares, b: Squares) -> Squares {
    let top = a.exponent.max(b.exponent);
    Squares { sum: a.sum * weight(a.exponent, top) + b.sum * weight(b.exponent, top), exponent: top }
}

pub(crate) fn add(a: Measured, b: Measured) -> Measured {
    Measured {
        grad: add_squares(a.grad, b.grad),
        param: add_squares(a.param, b.param),
        step: add_squares(a.step, b.step),
        update: add_squares(a.update, b.update),
        snr: a.snr + b.snr,
        largest_step: a.largest_step.max(b.largest_step),
        zero: a.zero + b.zero,
        nonfinite: a.nonfinite + b.nonfinite,
        elements: a.elements + b.elements,
    }
}

/// Adds up the measurements of a workgroup's invocations in a tree of two levels of 16.
pub(crate) fn reduce<T: Copy + Default>(tree: &[T; INVOCATIONS], add: fn(T, T) -> T) -> T {
    let level: [T; 16] = std::array::from_fn(|index| {
        let terms = (index..INVOCATIONS).step_by(16).map(|i| tree[i]);
        terms.reduce(add).unwrap_or_default()
    });
    level.into_iter().reduce(add).unwrap_or_default()
}
