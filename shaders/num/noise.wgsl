// Noise for stochastic rounding. It depends on the seed, the step, the tensor's name and the element, and on nothing else.
// Twin: src/num/noise.rs.

fn mixed(bits: Bits) -> Bits {
    var x = bits;
    x = (x ^ (x >> Bits(16u))) * Bits(0x7feb352du);
    x = (x ^ (x >> Bits(15u))) * Bits(0x846ca68bu);
    return x ^ (x >> Bits(16u));
}

// Each quantity that is rounded has its own stream.
fn noise(place: Place, stream: u32) -> Bits {
    return mixed((elements(place.state) + Bits(place.stream_seed)) ^ mixed(Bits(place.t + stream * 0x9e3779b9u)));
}

fn param_noise(place: Place) -> Bits {
    if PARAM_STOCHASTIC {
        return noise(place, 0u);
    }
    return Bits(0u);
}

fn state_noise(place: Place, stream: u32) -> Bits {
    if STATE_STOCHASTIC {
        return noise(place, stream);
    }
    return Bits(0u);
}
