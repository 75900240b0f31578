//! The places of the elements of a dispatch.

use crate::Shader;

pub const SHADERS: &[Shader] = &[
    Shader {
        file: "shaders/region/many_regions.wgsl",
        mutations: &[
            ("number >= regions[i].workgroup", "number > regions[i].workgroup", "several in a dispatch"),
            ("return number - region.workgroup", "return number", "several in a dispatch"),
            ("region = regions[which]", "region = regions[0]", "several in a dispatch"),
        ],
    },
    Shader {
        file: "shaders/region/many_spans.wgsl",
        mutations: &[("return tiles[number];", "return tiles[number / 2u];", "arena")],
    },
    Shader {
        file: "shaders/region/one_span.wgsl",
        mutations: &[
            ("region.state - region.quad;", "region.state;", "two buffers"),
            ("region.state - region.quad;", "0u - region.quad;", "several in a dispatch"),
            ("shift, region.stream_seed)", "shift, 0u)", "stochastic bf16, several in a dispatch"),
            ("region.quad + number * quads", "number * quads", "two buffers"),
        ],
    },
    Shader {
        file: "shaders/region/region.wgsl",
        mutations: &[
            ("quad + tile.shift", "quad - tile.shift", "arena"),
            ("(e >= Bits(begin))", "(e > Bits(begin))", "arena"),
            ("(e < Bits(end))", "(e <= Bits(end))", "arena"),
        ],
    },
    Shader {
        file: "shaders/region/tiles.wgsl",
        mutations: &[
            ("sharer / LINE * (LINE * OWN_QUADS)", "sharer / LINE * LINE", "arena"),
            ("* TILES + index / SHARERS", "* TILES + index % TILES", "arena"),
        ],
    },
];
