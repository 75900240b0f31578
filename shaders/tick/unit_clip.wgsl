// Clipping by the norms of units: see norm/unit_norms.wgsl. Twin: src/cpu/unit_norm.rs.

// The norm of a unit's unscaled gradients. Infinite or NaN if one of them is.
fn norm_of(unit: UnitNorm) -> f32 {
    let norm = global_norm(Partial(unit.small, unit.middle, unit.big, NONE), unscale);
    return select(unit.big, norm, is_finite(unit.big));
}

fn coef_of(unit: UnitNorm, norm: f32) -> f32 {
    let coef = normal_or_zero(min(1.0, unit.max_norm / (norm + 1e-6)));
    return select(bitcast<f32>(control.nan), coef, is_finite(unit.big));
}

// The coefficient that clips the gradients of a clock by the norm of its unit.
fn unit_coef(s: Settings) -> f32 {
    let unit = unit_norms[s.unit];
    return coef_of(unit, norm_of(unit));
}

// The norm of all gradients after they are clipped by the norms of their units.
fn clipped_norm(unclipped: f32) -> f32 {
    var all = 0.0;
    for (var i = 0u; i < arrayLength(&unit_norms) - SHARED_UNITS; i++) {
        let norm = norm_of(unit_norms[i]);
        let coef = coef_of(unit_norms[i], norm);
        // The norm of a unit may overflow. Then its coefficient is zero.
        all = together(all, select(norm * coef, 0.0, coef == 0.0));
    }
    return all;
}
