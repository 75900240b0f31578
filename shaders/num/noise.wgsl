// Chance for stochastic rounding: a function of the seed, the step and the element, and of nothing else. Twin:
// src/noise.rs.

fn mixed(bits: Bits) -> Bits {
    var x = bits;
    x = (x ^ (x >> Bits(16u))) * Bits(0x7feb352du);
    x = (x ^ (x >> Bits(15u))) * Bits(0x846ca68bu);
    return x ^ (x >> Bits(16u));
}

// For the elements of the state's quad `at`, counted from the region's first, of which each of some numbers has its own.
fn noise(at: u32, which: u32, s: Scalars) -> Bits {
    return mixed((elements(at - region.state) + Bits(region.stream_seed)) ^ mixed(Bits(s.t + which * 0x9e3779b9u)));
}
