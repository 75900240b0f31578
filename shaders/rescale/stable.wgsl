// StableAdamW: the root mean square of g / max(sqrt(v_hat), eps). Wortsman et al. 2023, Algorithm 2.

fn terms(s: Scalars, param: Quad, g: Quad, step: Quad, mask: Mask) -> Measured {
    let root = sqrt(kept.v) * s.v_coef;
    let below = larger(Quad(s.eps), select(root, Quad(s.min_root), root == Quad(0.0)));
    return Measured(masked(g / below, mask), masked(Quad(1.0), mask));
}
