//! The measurements of a probe.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/insight/measure.wgsl",
        mutations: &[
            ("(255u - top) << 23u", "(254u - top) << 23u", "measured, guarded"),
            ("sum += y.w * y.w", "sum += y.z * y.z", "measured, guarded"),
            ("largest(bits) >> 23u", "largest(bits) >> 24u", "measured, guarded"),
            ("select(Bits(0u), Bits(1u), mask)", "select(Bits(1u), Bits(0u), mask)", "measured, guarded"),
            ("grad, place.mask & finite", "grad, finite", "measured, guarded"),
            (
                "magnitude(grad) < Bits(0x7f800000u)",
                "magnitude(grad) < Bits(0x7fc00000u)",
                "measured, non-finite gradients",
            ),
            ("select(Quad(0.0), param, place.mask)", "param", "measured, guarded"),
            ("place.mask & (magnitude(grad) == Bits(0u))", "(magnitude(grad) == Bits(0u))", "measured, guarded"),
            ("count(place.mask & !finite)", "count(!finite)", "measured, non-finite gradients"),
            ("if s.do_step != 0u {\n        begin_state", "if true {\n        begin_state", "measured, guarded"),
            ("rule(s, place, g), place.mask)", "rule(s, place, g), !place.mask)", "measured, guarded"),
            (
                "select(Quad(0.0), rate * (decay_of(s, param, step) + step), place.mask)",
                "rate * (decay_of(s, param, step) + step)",
                "measured, guarded",
            ),
            ("largest(magnitude(taken))", "largest(magnitude(param))", "measured, guarded"),
            ("count(place.mask);", "4u;", "measured, guarded"),
        ],
    },
    Shader {
        file: "shaders/insight/of_tiles.wgsl",
        mutations: &[("param, gradient(s, grad, param)", "param, grad", "measured, guarded")],
    },
    Shader {
        file: "shaders/insight/insight.wgsl",
        mutations: &[
            ("scalars(tile.clock)", "scalars(0u)", "arena"),
            ("records[record].tile", "records[at].tile", "measured, guarded"),
            ("k < QUADS", "k < 7u", "measured, guarded"),
            ("let record = region.partial + at", "let record = at", "measured, guarded"),
        ],
    },
    Shader {
        file: "shaders/insight/insight_finish.wgsl",
        mutations: &[
            ("scalars(range.clock)", "scalars(0u)", "measured, guarded"),
            ("range.first + index", "index", "measured, guarded"),
            ("i < range.end", "i < range.end - 1u", "measured, guarded"),
            ("records[i].bins[k]", "records[range.first].bins[k]", "measured, guarded"),
            ("findings[at].t = s.t", "findings[at].t = s.do_step", "measured, guarded"),
            ("findings[at].unscale = s.unscale", "findings[at].unscale = 1.0", "measured, guarded"),
        ],
    },
    Shader {
        file: "shaders/insight/records.wgsl",
        mutations: &[
            ("below >= 32u", "below >= 1u", "measured, guarded"),
            ("127u - 2u * below", "127u - below", "measured, guarded"),
            ("a.sum * weight(a.exponent, top)", "a.sum", "measured, guarded"),
            ("b.sum * weight(b.exponent, top)", "b.sum", "measured, guarded"),
            ("max(a.exponent, b.exponent)", "a.exponent", "measured, guarded"),
            ("add_squares(a.step, b.step)", "add_squares(a.update, b.step)", "measured, guarded"),
            ("a.snr + b.snr", "a.snr", "measured, guarded"),
            ("max(a.largest_step, b.largest_step)", "b.largest_step", "measured, guarded"),
            ("a.zero + b.zero", "a.zero", "measured, guarded"),
            ("a.nonfinite + b.nonfinite", "b.nonfinite", "measured, guarded"),
            ("atomicStore(&bins[index], 0u)", "atomicStore(&bins[index], 1u)", "measured, guarded"),
            ("var i = index + 16u; i < WORKGROUP", "var i = index + 32u; i < WORKGROUP", "arena"),
            ("var i = 1u; i < 16u", "var i = 2u; i < 16u", "arena"),
        ],
    },
    Shader {
        file: "shaders/insight/snr.wgsl",
        mutations: &[
            ("114u, 129u", "115u, 129u", "measured, guarded"),
            ("129u) - 114u", "128u) - 114u", "measured AdaBelief"),
            ("s.snr * abs(state.m)", "abs(state.m)", "measured, guarded"),
            ("let known = mask & there", "let known = there", "measured, guarded"),
            ("bins[bin(ratio.y)]", "bins[bin(ratio.x)]", "measured, guarded"),
            ("bins[bin(ratio.w)], 1u", "bins[bin(ratio.w)], 2u", "measured, guarded"),
            ("select(Quad(0.0), ratio, known)", "ratio", "measured, guarded"),
        ],
    },
];
