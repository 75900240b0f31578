//! Code that all updates share.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/update/change_param.wgsl",
        mutations: &[
            ("s.newest_weight * load_m(place)", "s.newest_weight", "Schedule-Free"),
            ("quad + i * LINE", "quad + i", "Schedule-Free"),
        ],
    },
    Shader {
        file: "shaders/update/gradient.wgsl",
        mutations: &[
            ("+ rate * (x - old)", "- rate * (x - old)", "arena"),
            ("select(old, x, from_target != 0u)", "select(old, x, from_target == 0u)", "arena"),
            ("(decay_of(s, param, step) + step)", "(decay_of(s, param, step) - step)", "arena"),
            ("let decay = s.decay * param;", "let decay = Quad(s.decay);", "arena"),
            ("towards | Mask(s.cautious == 0u)", "Mask(true) | towards", "cautious decay"),
            ("(step > Quad(0.0)) & (param > Quad(0.0))", "(step > Quad(0.0))", "cautious decay"),
            ("s.grad_mul * grad", "grad", "arena"),
            ("s.l2 * param)", "s.l2)", "clipped by value"),
            ("next < Quad(s.param_min)", "next > Quad(s.param_min)", "clamped"),
            ("above > Quad(s.param_max)", "above < Quad(s.param_max)", "clamped"),
            ("abs(g) > Quad(limit)", "abs(g) < Quad(limit)", "clipped by value"),
            ("select(Quad(limit), Quad(-limit)", "select(Quad(-limit), Quad(limit)", "clipped by value"),
            ("select(bounded, x, magnitude(x)", "select(x, bounded, magnitude(x)", "clamped"),
            ("magnitude(x) > Bits(0x7f800000u)", "magnitude(x) > Bits(0x3f000000u)", "clamped"),
            ("Quad(-MOST), Quad(MOST)", "Quad(-MOST), Quad(0.5 * MOST)", "squares that overflow"),
            ("magnitude(g) >= Bits(0x7f800000u)", "magnitude(g) >= Bits(0x60000000u)", "squares that overflow"),
            ("sqrt(v) * s.v_coef", "v * s.v_coef", "arena"),
            ("sqrt(v) * s.v_coef", "sqrt(v)", "arena"),
            (") + s.eps", ") - s.eps", "arena"),
            ("Quad(s.min_root)", "Quad(0.0)", "gradients that underflow"),
            ("root == Quad(0.0)", "root != Quad(0.0)", "arena"),
        ],
    },
    Shader {
        file: "shaders/update/update.wgsl",
        mutations: &[
            ("if s.do_step != 0u", "if s.do_step == 7u || true", "arena"),
            ("quad + 2u * LINE", "quad + LINE", "arena"),
        ],
    },
    Shader {
        file: "shaders/update/update_blocks.wgsl",
        mutations: &[
            ("let block = index / SHARERS", "let block = 0u", "blocks, remainder"),
            ("2u * LINE, s.t), third)", "2u * LINE, s.t), second)", "blocks, remainder"),
            ("Mask(!EDGES) | place.mask", "Mask(true)", "blocks, remainder"),
            (
                "if is_owned(tile, quad) {\n        write_param",
                "if true {\n        write_param",
                "blocks of whole quads",
            ),
        ],
    },
    Shader {
        file: "shaders/update/block_scales.wgsl",
        mutations: &[
            ("atomicStore(&sizes[at], 0u)", "atomicStore(&sizes[at], 0x7f000000u)", "blocks, remainder"),
            ("found.y", "found.x", "blocks, remainder"),
        ],
    },
    Shader {
        file: "shaders/update/blocks.wgsl",
        mutations: &[
            ("region.first_scale + place.state / BLOCK_QUADS", "region.first_scale", "blocks, remainder"),
            ("place.state % BLOCK_QUADS == 0u", "place.state % BLOCK_QUADS == 8u", "blocks, remainder"),
        ],
    },
];
