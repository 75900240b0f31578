// The signal-to-noise ratio |m_hat| / sqrt(v_hat), where the rule averages the gradient and its square. `no_snr.wgsl` is for
// the others.

fn bin(ratio: f32) -> u32 {
    return clamp(bitcast<u32>(ratio) >> 23u, 114u, 129u) - 114u;
}

// Counts the elements of a quad into the bins and gives their sum. Those without a v, which no gradient has reached yet, are
// left out; so are those that are not finite.
fn measure_snr(s: Scalars, after: State, mask: Mask) -> f32 {
    let v_bits = bitcast<Bits>(after.v);
    let ratio = (s.snr * abs(after.m)) / sqrt(after.v);
    let there = (v_bits >= Bits(0x00800000u)) & (v_bits < Bits(0x7f800000u));
    let known = mask & there & (bitcast<Bits>(ratio) < Bits(0x7f800000u));
    if known.x { atomicAdd(&bins[bin(ratio.x)], 1u); }
    if known.y { atomicAdd(&bins[bin(ratio.y)], 1u); }
    if known.z { atomicAdd(&bins[bin(ratio.z)], 1u); }
    if known.w { atomicAdd(&bins[bin(ratio.w)], 1u); }
    return sum(select(Quad(0.0), ratio, known));
}
