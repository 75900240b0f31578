//! The clock, the scalars, the loss scale, the schedules.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/tick/loss_scale.wgsl",
        mutations: &[
            ("0x7f000000u - bits", "0x7f800000u - bits", "least loss scale"),
            ("(bits & 0x007fffffu) == 0u", "(bits & 0x003fffffu) == 0u", "loss scale"),
            ("return 1.0 / scale", "return scale", "loss scale"),
            ("* control.backoff_factor, LEAST)", "* control.growth_factor, LEAST)", "loss scale"),
            ("control.backoff_factor, LEAST)", "control.backoff_factor, 0.0)", "least loss scale"),
            ("LEAST);\n    loss_scale.growth_tracker = 0u;", "LEAST);", "loss scale"),
            ("loss_scale.growth_tracker += 1u", "loss_scale.growth_tracker += 2u", "loss scale"),
            ("growth_tracker >= control", "growth_tracker > control", "loss scale"),
            ("* control.growth_factor", "* control.backoff_factor", "loss scale"),
            ("grown <= MOST", "grown < MOST", "largest loss scale"),
            ("grown, grown <= MOST", "grown, true", "largest loss scale"),
            ("return loss_scale.used;", "return loss_scale.scale;", "shared loss scale"),
            ("back_off(loss_scale.used)", "back_off(loss_scale.scale)", "shared loss scale"),
            ("loss_scale.used = loss_scale.scale;", "", "shared loss scale"),
            ("MOST);\n        loss_scale.growth_tracker = 0u;", "MOST);", "loss scale"),
        ],
    },
    Shader {
        file: "shaders/tick/schedule.wgsl",
        mutations: &[
            ("s.first_curve;", "0u;", "schedules"),
            ("end - at > 1u", "end - at > 2u", "schedules"),
            ("curves[middle].first <= n", "curves[middle].first < n", "schedules"),
            ("select(plus(a, negated(b)), plus(b, negated(a)), rises)", "plus(b, negated(a))", "schedules"),
            ("select(negated(gone), gone, rises)", "gone", "schedules"),
            ("if curve.period != 0u", "if curve.period == 7u", "schedules"),
            ("curve.first - curve.period +", "curve.first +", "schedules"),
            ("% curve.period", "% (curve.period + 1u)", "schedules"),
            ("(n - curve.first) / curve.every", "(n - curve.first)", "schedules"),
            ("(n - curve.first) / curve.every", "n / curve.every", "schedules"),
            ("between(curve.start, curve.middle, x)", "curve.start", "schedules"),
            ("between(curve.middle, curve.end, x)", "curve.end", "schedules"),
            (
                "between(curve.middle, curve.end, x), x)",
                "between(curve.middle, curve.end, x), curve.step)",
                "schedules",
            ),
            ("t - 1u));", "t));", "schedules"),
            ("s.schedule_unit * fraction", "fraction", "schedules"),
            ("if s.curves == 0u", "if s.curves == 7u", "schedules"),
        ],
    },
    Shader {
        file: "shaders/tick/unit_clip.wgsl",
        mutations: &[
            ("unit_norms[s.unit]", "unit_norms[0]", "groups clipped"),
            ("min(1.0, unit.max_norm", "max(1.0, unit.max_norm", "groups clipped"),
            ("select(norm * coef, 0.0, coef == 0.0)", "norm", "groups clipped"),
            ("together(all, select(", "(select(", "groups clipped"),
        ],
    },
    Shader {
        file: "shaders/tick/tick.wgsl",
        mutations: &[
            ("correction1 = complement(powers.beta1_t)", "correction1 = complement(powers.beta2_t)", "arena"),
            ("1.0 / sqrt(correction2)", "1.0 / correction2", "arena"),
            ("now.decay = lr * s.weight_decay;", "now.decay = s.weight_decay;", "arena"),
            ("(lr * s.inverse_peak)", "lr", "corrected decay"),
            ("product(now.beta1_t, s.beta1), s.beta1, first", "product(now.beta1_t, s.beta1), s.beta2, first", "arena"),
            ("product(now.product, mu), mu", "product(now.product, next.gamma_t), mu", "NAdam"),
            ("product(now.gamma_t, s.gamma), s.gamma", "product(now.gamma_t, s.beta1), s.gamma", "NAdam"),
            ("s.sign * clip_coef", "clip_coef", "arena"),
            ("unit_coef(s) * unscale", "unit_coef(s)", "loss scale"),
            ("clip_coef * unit_coef(s)", "clip_coef", "groups clipped"),
            ("|| !is_finite(clock.grad_norm)", "", "norm that overflows"),
            ("min(1.0, control.max_norm", "max(1.0, control.max_norm", "arena"),
            ("control.max_norm / (norm + 1e-6)", "control.max_norm / (norm + 1e-3)", "arena"),
            ("clipped_norm(clock.grad_norm);", "clock.grad_norm;", "groups clipped"),
            ("bitcast<f32>(control.nan)", "1.0", "unguarded NaN"),
            ("total.first_nonfinite != NONE", "total.first_nonfinite == NONE", "arena"),
            ("clock.skipped += select", "clock.skipped = select", "arena"),
            (
                "clock.nonfinite_element = partials[total.first_nonfinite].first_nonfinite",
                "clock.nonfinite_element = 0u",
                "arena",
            ),
            ("control.partials; i += WORKGROUP", "1u; i += WORKGROUP", "two buffers"),
            ("adapt_scale(skip != 0u)", "adapt_scale(false)", "loss scale"),
            ("lr = settings[i].lr * factor(settings[i], clock.clocks[i].position)", "lr = settings[i].lr", "schedules"),
            ("skipped_in_a_row < control", "skipped_in_a_row <= control", "limited skips"),
            ("skipped_in_a_row = select(0u", "skipped_in_a_row = select(1u", "limited skips"),
            ("settings[i].is_active != 0u", "settings[i].is_active != 7u", "inactive"),
            ("clock.clocks[i].position += select(1u, 0u", "clock.clocks[i].position += select(0u, 0u", "schedules"),
            ("sqrt(correction2) / correction1", "sqrt(correction1) / correction1", "measured, guarded"),
            ("slots[i].scalars.t = clock.clocks[i].t", "slots[i].scalars.t = 0u", "measured, guarded"),
            ("scalar_slots[i].scalars.unscale = unscale;", "", "measured, guarded"),
        ],
    },
];

/// These mutations have no effect on a device that flushes numbers below 2^-126 to zero.
pub const DENORMALS: &[Shader] = &[Shader {
    file: "shaders/tick/tick.wgsl",
    mutations: &[("x, (bitcast<u32>(x) & 0x7f800000u) != 0u", "x, true", "clipped by a factor below 2^-126")],
}];
