//! Code that compose.rs generates.

use crate::Shader;

pub const SHADERS: &[Shader] = &[Shader {
    file: "src/gpu/compose.rs",
    mutations: &[
        ("quad + region.grad_shift", "quad - region.grad_shift", "two buffers"),
        ("4u * quad + region.grad_shift", "4u * (quad + region.grad_shift)", "unaligned"),
        ("store_grad(place.quad, Quad(0.0)", "store_grad(place.quad, Quad(1.0)", "arena"),
        ("case 1u: { return load_grad1(quad)", "case 1u: { return load_grad0(quad)", "several in a dispatch"),
        ("case 2u: { return load_param2(quad)", "case 2u: { return load_param1(quad)", "several in a dispatch"),
        ("case 2u: { store_param2(quad", "case 2u: { store_param0(quad", "several in a dispatch"),
        ("encode_v(place, state.v)", "encode_v(place, state.m)", "blocks, remainder"),
        ("let first = clock * SLOT_QUADS", "let first = 0u", "arena"),
    ],
}];
