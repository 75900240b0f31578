// The signal-to-noise ratio |m_hat| / sqrt(v_hat), for rules that average both the gradient and its square.

fn bin(ratio: f32) -> u32 {
    return clamp(bitcast<u32>(ratio) >> 23u, 114u, 129u) - 114u;
}

// Counts the ratios of a quad into the bins, and returns their sum. Elements that have had no gradient yet (v is 0) and
// non-finite ratios are not counted.
fn measure_snr(s: Scalars, state: Kept, mask: Mask) -> f32 {
    let v_bits = bitcast<Bits>(state.v);
    let ratio = (s.snr * abs(state.m)) / sqrt(state.v);
    let there = (v_bits >= Bits(0x00800000u)) & (v_bits < Bits(0x7f800000u));
    let known = mask & there & (bitcast<Bits>(ratio) < Bits(0x7f800000u));
    if known.x { atomicAdd(&bins[bin(ratio.x)], 1u); }
    if known.y { atomicAdd(&bins[bin(ratio.y)], 1u); }
    if known.z { atomicAdd(&bins[bin(ratio.z)], 1u); }
    if known.w { atomicAdd(&bins[bin(ratio.w)], 1u); }
    return sum(select(Quad(0.0), ratio, known));
}
