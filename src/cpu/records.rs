//! How the measurements of two parts of a tensor are added up. Twin of `records.wgsl`.

use crate::num::quad::WORKGROUP;
use crate::report::records::{Measured, Squares};

pub(crate) const INVOCATIONS: usize = WORKGROUP as usize;

fn weight(exponent: u32, top: u32) -> f32 {
    let below = top - exponent;
    if below >= 32 { 0.0 } else { f32::from_bits((127 - 2 * below) << 23) }
}

fn add_squares(a: Squares, b: Squares) -> Squares {
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
pub(crate) fn reduce(tree: &[Measured; INVOCATIONS]) -> Measured {
    let level: [Measured; 16] = std::array::from_fn(|index| {
        let terms = (index..INVOCATIONS).step_by(16).map(|i| tree[i]);
        terms.reduce(add).unwrap_or_default()
    });
    level.into_iter().reduce(add).unwrap_or_default()
}
