// LAMB: the step is as long as the parameters times the learning rate. You et al. 2020, Algorithm 2.

fn terms(s: Scalars, param: Quad, g: Quad, step: Quad, mask: Mask) -> Measured {
    return Measured(masked(param, mask), masked(decay_of(s, param, step) + step, mask));
}
