//! The rules.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/rules/adam.wgsl",
        mutations: &[
            ("average(load_m(place), g, s.m_rate", "average(load_m(place), g, s.v_rate", "arena"),
            ("average(load_v(place), squared(g), s.v_rate", "average(load_v(place), squared(g), s.m_rate", "arena"),
            ("average(load_v(place), squared(g),", "average(load_v(place), g,", "arena"),
            ("(s.m_coef * m)", "(s.m_coef * g)", "arena"),
            ("divisor(s, v + s.eps_root)", "divisor(s, m + s.eps_root)", "arena"),
            ("store_m(place, m)", "store_m(place, g)", "arena"),
        ],
    },
    Shader {
        file: "shaders/rules/adabelief.wgsl",
        mutations: &[("squarable(g - m)", "(g - m)", "AdaBelief, largest gradients")],
    },
    Shader {
        file: "shaders/rules/adopt.wgsl",
        mutations: &[
            ("clipped(n, s.bound)", "n", "ADOPT"),
            ("root < Quad(s.eps)", "root > Quad(s.eps)", "ADOPT"),
            ("let root = sqrt(old);", "let root = old;", "ADOPT"),
        ],
    },
    Shader {
        file: "shaders/rules/ademamix.wgsl",
        mutations: &[
            ("s.slow_rate", "s.m_rate", "AdEMAMix"),
            ("+ s.g_coef * grad_avg", "", "AdEMAMix"),
            ("store_grad_avg(place, grad_avg)", "store_grad_avg(place, m)", "AdEMAMix"),
        ],
    },
    Shader {
        file: "shaders/rules/cautious.wgsl",
        mutations: &[
            ("(m > Quad(0.0)) & (g > Quad(0.0))", "(m > Quad(0.0))", "Cautious AdamW"),
            ("select(Quad(0.0), step, agrees(m, g))", "step", "Cautious AdamW"),
        ],
    },
    Shader {
        file: "shaders/rescale/rescale.wgsl",
        mutations: &[
            ("index + k * WORKGROUP", "index + k", "LAMB"),
            ("sums[region.partial + at] = tree[0]", "sums[at] = tree[0]", "LAMB apart"),
            ("tiles[region.partial + at]", "tiles[at]", "LAMB apart"),
        ],
    },
    Shader {
        file: "shaders/rescale/rescale_finish.wgsl",
        mutations: &[
            ("i += WORKGROUP", "i += 2u * WORKGROUP", "LAMB of many workgroups"),
            ("lr * root", "root", "LAMB"),
            ("max(1.0, root)", "root", "StableAdamW"),
            ("max(root * root, 1e-3)", "max(root, 1e-3)", "Cautious AdamW"),
            ("scalars.decay *= f", "scalars.decay *= 1.0", "LAMB"),
            ("RESCALE != CAUTIOUS", "true", "Cautious AdamW"),
            ("i32(a) - i32(b)", "0", "LAMB"),
        ],
    },
    Shader {
        file: "shaders/rescale/sums.wgsl",
        mutations: &[("add_squares(a.below, b.below)", "a.below", "LAMB"), ("select(Quad(0.0), x, mask)", "x", "LAMB")],
    },
    Shader { file: "shaders/rescale/lamb.wgsl", mutations: &[("decay_of(s, param, step) + step", "step", "LAMB")] },
    Shader {
        file: "shaders/rescale/stable.wgsl",
        mutations: &[
            ("* s.v_coef", "", "StableAdamW"),
            ("larger(Quad(s.eps),", "larger(Quad(0.0),", "StableAdamW, large eps"),
        ],
    },
    Shader {
        file: "shaders/rescale/cautious.wgsl",
        mutations: &[("agrees(kept.m, g)", "agrees(g, g)", "Cautious AdamW")],
    },
    Shader {
        file: "shaders/rules/schedule_free.wgsl",
        mutations: &[
            ("+ s.inner_decay * y", "", "Schedule-Free"),
            ("z_minus_y - s.m_gain * d", "z_minus_y + s.m_gain * d", "Schedule-Free"),
            ("Quad(0.0), s.newest_weight", "Quad(0.0), s.v_rate", "Schedule-Free"),
            ("- s.newest_weight * z_minus_y", "", "Schedule-Free"),
        ],
    },
    Shader {
        file: "shaders/rules/laprop.wgsl",
        mutations: &[
            ("g / divisor(s, v + s.eps_root)", "g", "LaProp"),
            ("return s.m_coef * m", "return s.m_coef * g", "LaProp"),
        ],
    },
    Shader {
        file: "shaders/rules/adagrad.wgsl",
        mutations: &[(
            "within_bf16(load_v(place) + squared(g))",
            "(load_v(place) + squared(g))",
            "AdaGrad, largest gradients",
        )],
    },
    Shader {
        file: "shaders/rules/rmsprop_centered.wgsl",
        mutations: &[
            ("squarable(g - before)", "squarable(g - grad_avg)", "centered RMSProp"),
            ("squarable(g - grad_avg)", "squarable(g)", "centered RMSProp"),
            ("store_grad_avg(place, grad_avg)", "store_grad_avg(place, g)", "centered RMSProp"),
        ],
    },
    Shader {
        file: "shaders/rules/rmsprop_centered_momentum.wgsl",
        mutations: &[
            ("squarable(g - before)", "squarable(g - grad_avg)", "centered RMSProp with momentum"),
            ("let before = load_grad_avg(place)", "let before = Quad(0.0)", "centered RMSProp with momentum"),
            ("let u = g /", "let u = grad_avg /", "centered RMSProp with momentum"),
        ],
    },
];
