// No signal-to-noise ratio: the rule does not average both the gradient and its square. `snr.wgsl` is for those that do.

fn measure_snr(s: Scalars, after: State, mask: Mask) -> f32 {
    return 0.0;
}
