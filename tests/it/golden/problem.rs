//! The problem that all golden cases share: initial parameters and gradients, made from integers alone.
//!
//! `problem.py` makes the same values. Each value is an integer below 2^24 times a power of two, so it is exact in f32.

use crate::scene::mix;

pub const ELEMENTS: usize = 4096;
pub const STEPS: usize = 256;
pub const LR_CHANGES_AFTER: usize = 50;

/// 64 random bits for an element. Stream 0 describes the element, stream 1 is its initial parameter, and stream 1 + t
/// is its gradient at step t.
fn bits(seed: u64, stream: usize, element: usize) -> u64 {
    mix(mix(stream as u64 + (seed << 32)) ^ element as u64)
}

/// The low 23 bits as an integer around zero.
fn signed(bits: u64) -> i64 {
    (bits & 0x7f_ffff) as i64 - 0x40_0000
}

fn scaled(integer: i64, exponent: i32) -> f32 {
    let value = integer as f64 * 2f64.powi(exponent);
    assert_eq!(value, f64::from(value as f32));
    value as f32
}

/// Uniform between -2^exponent and 2^exponent.
pub fn first_params(seed: u64, exponent: i32) -> Vec<f32> {
    (0..ELEMENTS).map(|e| scaled(signed(bits(seed, 1, e)), exponent - 22)).collect()
}

/// The gradients of step `t`. The first step is 1.
pub fn grads(seed: u64, t: usize) -> Vec<f32> {
    let grad = |e| {
        let (kind, noise) = (bits(seed, 0, e), bits(seed, 1 + t, e));
        let sparse = (kind >> 32) % 8 == 0;
        let zero = (noise >> 32) % 10 == 0 || sparse && (noise >> 48) % 16 != 0;
        let mean = signed(kind >> 41);
        if zero { 0.0 } else { scaled(mean + signed(noise), (kind % 35) as i32 - 30 - 23) }
    };
    (0..ELEMENTS).map(grad).collect()
}
