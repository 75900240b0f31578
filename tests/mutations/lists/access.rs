//! Loads and stores.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/access/aligned_f32.wgsl",
        mutations: &[
            ("if mask.w { param[at]", "if mask.z { param[at]", "arena"),
            ("param[at].y = x.y", "param[at].y = x.x", "arena"),
            ("if mask.x { grad[at]", "if mask.y { grad[at]", "two buffers"),
        ],
    },
    Shader {
        file: "shaders/access/aligned_half.wgsl",
        mutations: &[(
            "merged(param[at].x, pair.x, mask.x, mask.y)",
            "merged(param[at].x, pair.x, mask.y, mask.x)",
            "f16",
        )],
    },
    Shader { file: "shaders/access/keep.wgsl", mutations: &[("kept.v = x", "kept.m = x", "blocks, remainder")] },
    Shader {
        file: "shaders/access/param_f32.wgsl",
        mutations: &[(
            "store_param(place.quad, x, place.mask)",
            "store_param(place.quad + 1u, x, place.mask)",
            "arena",
        )],
    },
    Shader {
        file: "shaders/access/param_half.wgsl",
        mutations: &[("noise(place, 0u), PARAM_STOCHASTIC", "noise(place, 0u), !PARAM_STOCHASTIC", "f16")],
    },
    Shader {
        file: "shaders/access/param_master.wgsl",
        mutations: &[("== bits_param(place.quad)", "!= bits_param(place.quad)", "stochastic blocks, master")],
    },
    Shader {
        file: "shaders/access/param_remainder.wgsl",
        mutations: &[("(bits + Bits(0x8000u)) >> Bits(16u)", "bits >> Bits(16u)", "blocks, remainder")],
    },
    Shader {
        file: "shaders/access/state_bf16.wgsl",
        mutations: &[(
            "noise(place, 1u), STATE_STOCHASTIC",
            "noise(place, 2u), STATE_STOCHASTIC",
            "stochastic f16 and bf16",
        )],
    },
    Shader {
        file: "shaders/access/state_block8.wgsl",
        mutations: &[
            ("sizes[STATE_TENSORS * block + 1u]", "sizes[STATE_TENSORS * block + 0u]", "blocks, remainder"),
            ("v_scale = v[scale_at(place)]", "v_scale = m[scale_at(place)]", "blocks, remainder"),
            ("v[scale_at(place)] = v_scale", "v[scale_at(place)] = m_scale", "blocks, remainder"),
        ],
    },
    Shader {
        file: "shaders/access/state_f32.wgsl",
        mutations: &[
            ("return m[place.state]", "return m[place.quad]", "arena"),
            ("v[place.state] = x", "v[place.state] = x + x", "arena"),
        ],
    },
    Shader {
        file: "shaders/access/unaligned_f32.wgsl",
        mutations: &[
            ("if mask.w { param[at + 3u]", "if mask.z { param[at + 3u]", "unaligned"),
            ("param[at + 1u], param[at + 2u]", "param[at + 2u], param[at + 1u]", "unaligned"),
        ],
    },
    Shader {
        file: "shaders/access/unaligned_half.wgsl",
        mutations: &[
            ("& 1u) * 16u)", "& 1u) * 8u)", "large f16"),
            ("half_grad(at + 2u)", "half_grad(at + 1u)", "bf16"),
        ],
    },
];
