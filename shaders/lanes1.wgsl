// A word of one element: for views that are not aligned with each other, and for ends. `lanes4.wgsl` is the same for four.

alias Word = f32;
alias Bits = u32;
alias Mask = bool;
const LANES: u32 = 1u;

// The elements of a word.
fn elements(word: u32) -> Bits {
    return word;
}

fn sum(x: Word) -> f32 {
    return x;
}

fn largest(x: Bits) -> u32 {
    return x;
}

// The first lane for which it is true, or LANES.
fn first_lane(mask: Mask) -> u32 {
    return select(1u, 0u, mask);
}
