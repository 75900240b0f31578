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
