// Cautious AdamW: the share of elements that take a step. Liang et al. 2024, Algorithm 2.

fn terms(s: Scalars, param: Quad, g: Quad, step: Quad, mask: Mask) -> Measured {
    return Measured(masked(select(Quad(0.0), Quad(1.0), agrees(kept.m, g)), mask), masked(Quad(1.0), mask));
}
