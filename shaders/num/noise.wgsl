// Noise for stochastic rounding: 16 bits for each element and quantity. They depend on the seed, the step, the tensor's name and
// the element, and on nothing else. Twin: src/num/noise.rs.

fn mixed(bits: Bits) -> Bits {
    var x = bits;
    x = (x ^ (x >> Bits(16u))) * Bits(0x7feb352du);
    x = (x ^ (x >> Bits(15u))) * Bits(0x846ca68bu);
    return x ^ (x >> Bits(16u));
}

// Four elements share 32 random bits. Each takes 16 of them, and another 16 for each quantity that is rounded: two neighbours,
// and two quantities of an element, begin at least 5 bits apart.
fn noise(place: Place, stream: u32) -> Bits {
    var element = Bits(place.state * LANES + place.stream_seed) + Bits(0u, 1u, 2u, 3u);
    var lane = element & Bits(3u);
    if !STRADDLES {
        // The quad has the elements of one quad of its tensor.
        element = Bits(element.x);
        lane = Bits(0u, 1u, 2u, 3u);
    }
    let random = mixed((element >> Bits(2u)) ^ Bits(place.t * 0x9e3779b9u));
    return (random >> (Bits(5u) * ((lane + Bits(stream)) & Bits(3u)))) & Bits(0xffffu);
}
