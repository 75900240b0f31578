// The norm that other optimizers have a part in: see norm/unit_norms.wgsl. Twin: src/cpu/unit_norm.rs.

// The sums of the gradients of all optimizers, which are those of the last unit.
fn shared_sums(own: Partial) -> Partial {
    let all = unit_norms[arrayLength(&unit_norms) - 1u];
    return Partial(all.small, all.middle, all.big, all.first_nonfinite);
}
