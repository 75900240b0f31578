//! The norm of the gradients.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/norm/norm.wgsl",
        mutations: &[
            ("gradients(own, quad + 5u", "gradients(own, quad + 4u", "arena"),
            ("index / LINE * (LINE * QUADS)", "index / LINE * LINE", "arena"),
            ("select(0.0, all, big), first_nonfinite", "all, first_nonfinite", "tiny gradients"),
            ("select(UP, DOWN, big)", "UP", "huge gradients"),
            ("select(sum(seen.squares), 0.0, rare)", "sum(seen.squares)", "huge gradients"),
            ("min(first_nonfinite, nonfinite_element(", "max(0u, nonfinite_element(", "arena"),
            ("quad * LANES + lane, lane", "quad * LANES, lane", "arena"),
            ("region.partial + at", "at", "two buffers"),
        ],
    },
    Shader {
        file: "shaders/norm/squares.wgsl",
        mutations: &[
            ("seen.squares + g * g", "seen.squares - g * g", "arena"),
            ("top != 0u && top < SMALL", "top > SMALL", "arena"),
        ],
    },
    Shader {
        file: "shaders/norm/global_norm.wgsl",
        mutations: &[
            ("unscale * DOWN", "unscale * UP", "tiny gradients"),
            ("unscale * UP", "unscale", "huge gradients"),
            ("total.small) * unscale * DOWN", "total.small) * DOWN", "least loss scale"),
            ("total.middle) * unscale", "total.middle)", "loss scale"),
            ("total.big) * unscale * UP", "total.big) * UP", "largest loss scale"),
        ],
    },
    Shader {
        file: "shaders/norm/unit_norm.wgsl",
        mutations: &[
            ("units[unit] + index", "units[unit]", "groups clipped"),
            ("partials[units[i]]", "partials[i]", "groups clipped"),
            ("i < units[unit + 1u]", "i <= units[unit + 1u]", "groups clipped"),
            ("unit_norms[unit].middle = total.middle;", "", "groups clipped"),
            ("unit_norms[unit].big = total.big;", "", "groups clipped, huge gradients"),
            ("unit_norms[unit].first_nonfinite = total.first_nonfinite;", "", "shared norm"),
        ],
    },
    Shader {
        file: "shaders/norm/partial.wgsl",
        mutations: &[
            ("var i = index + 16u", "var i = index + 32u", "arena"),
            ("var i = 1u; i < 16u", "var i = 2u; i < 16u", "arena"),
            ("a.small + b.small", "a.small", "tiny gradients"),
            ("a.big + b.big", "a.big", "huge gradients"),
            ("min(a.first_nonfinite, b.first_nonfinite)", "a.first_nonfinite", "arena"),
        ],
    },
];
