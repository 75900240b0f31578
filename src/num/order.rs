//! A sort that is compiled only once. Each instance of the standard library's sort adds 1 to 2 kB to the WebAssembly file.

use std::cmp::Ordering;

/// The numbers `0..count` in the order of a comparison. Equal ones stay in ascending order.
pub(crate) fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}
