//! One token of what loads, rounds and stores narrow numbers is changed, and GPU and twin must be seen to differ.

use std::slice::from_ref;

use crate::mutations::{Mutation, must_be_noticed};
use crate::scene::precisions::{BESIDE, STATES, precision};
use crate::scene::{Gpu, Numbers, Scene};
use crate::{Config, Decay, Dtype, Options, Variant};

const MUTATIONS: &[Mutation] = &[
    // half.wgsl
    ("pair.x & 0xffffu, pair.x >> 16u", "pair.x & 0xffffu, pair.x >> 15u"),
    ("halves.x | (halves.y << 16u)", "halves.x | (halves.x << 16u)"),
    ("select(0u, 0xffffu, low)", "select(0u, 0xffffu, high)"),
    ("(old & ~mask) | (now & mask)", "now"),
    ("Bits(0x7fffu) + ((bits >> Bits(16u)) & Bits(1u))", "Bits(0x7fffu)"),
    ("up = noise & Bits(0xffffu)", "up = noise & Bits(0x7fffu)"),
    ("(halves & Bits(0x8000u)) << Bits(16u)", "Bits(0u)"),
    ("Quad(magnitude) * 5.9604644775390625e-8)", "Quad(magnitude) * 2.98023223876953125e-8)"),
    ("shifted + Bits(112u << 23u)", "shifted + Bits(111u << 23u)"),
    ("magnitude >= Bits(0x7c00u)), tiny", "magnitude > Bits(0x7c00u)), tiny"),
    ("tiny, magnitude < Bits(0x400u)", "tiny, magnitude < Bits(0x3f0u)"),
    ("(bits >> Bits(16u)) & Bits(0x8000u);", "Bits(0u);"),
    ("Bits(0xfffu) + ((bits >> Bits(13u)) & Bits(1u))", "Bits(0x1000u)"),
    ("(rest > Quad(0.5))", "(rest > Quad(0.6))"),
    (
        "(rest == Quad(0.5)) & ((whole & Bits(1u)) == Bits(1u))",
        "(rest == Quad(0.5)) & ((whole & Bits(1u)) == Bits(0u))",
    ),
    ("up = noise & Bits(0x1fffu)", "up = noise & Bits(0xfffu)"),
    ("more = rest > Quad(noise >> Bits(8u))", "more = rest > Quad(noise >> Bits(9u))"),
    ("- Bits(112u << 10u), Bits(0x7c00u))", "- Bits(112u << 10u), Bits(0x7fffu))"),
    ("Bits(0x7e00u), magnitude >", "Bits(0x7c00u), magnitude >"),
    ("tiny, magnitude < Bits(0x38800000u)", "tiny, magnitude < Bits(0x38000000u)"),
    ("Bits(0x7fc00000u), nan);", "Bits(0x7f800000u), nan);"),
    ("remainders - ((remainders & Bits(0x8000u)) << Bits(1u))", "remainders"),
    ("Quad(x >> Bits(16u)) * 65536.0", "Quad(x >> Bits(16u)) * 65535.0"),
    ("bitcast<Bits>(x) & Bits(0xffffu)", "bitcast<Bits>(x) & Bits(0x7fffu)"),
    ("(upper + lower) * region.grad_scale", "(upper + lower)"),
    // noise.wgsl
    ("* Bits(0x7feb352du)", "* Bits(0x7feb352fu)"),
    ("x >> Bits(15u)", "x >> Bits(14u)"),
    ("+ Bits(region.stream_seed)", ""),
    ("elements(at - region.state)", "elements(at)"),
    ("mixed(Bits(s.t + which", "mixed(Bits(which"),
    ("which * 0x9e3779b9u", "0x9e3779b9u"),
    // block8.wgsl
    ("Code(127u, 11u, true", "Code(127u, 12u, true"),
    ("Code(254u, 24u, false", "Code(254u, 23u, false"),
    ("(code.levels - 1u - 8u * code.fine)", "(code.levels - 2u - 8u * code.fine)"),
    ("Bits(0u, 8u, 16u, 24u)", "Bits(0u, 8u, 16u, 16u)"),
    ("codes.z << 16u", "codes.z << 8u"),
    ("(codes & Bits(0x80u)) << Bits(24u)", "Bits(0u)"),
    ("Bits(ONE) - (level << Bits(20u))", "Bits(ONE) - (level << Bits(19u))"),
    ("(level - Bits(8u * code.fine)) << Bits(21u)", "(level - Bits(8u * code.fine)) << Bits(20u)"),
    ("level >= Bits(8u * code.fine)", "level >= Bits(9u * code.fine)"),
    ("select(bits, Bits(0u), magnitude == Bits(0u))", "bits"),
    ("Bits(0x7fc00000u), codes == Bits(code.nan)", "Bits(0u), codes == Bits(code.nan)"),
    ("(magnitude - Bits(0x01000000u)) < Bits(0x7e800000u)", "(magnitude - Bits(0x01000000u)) < Bits(0x7f000000u)"),
    ("magnitude, mask & is_held(magnitude)", "magnitude, mask"),
    ("lowest(code) - 0x800000u", "lowest(code)"),
    ("Bits(0x80000u)", "Bits(0x60000u)"),
    ("Bits(0x100000u)", "Bits(0x180000u)"),
    ("up_fine = noise & Bits(0xfffffu)", "up_fine = noise & Bits(0x7ffffu)"),
    ("up_coarse = noise & Bits(0x1fffffu)", "up_coarse = noise & Bits(0xfffffu)"),
    ("stays = y > Quad(noise >> Bits(8u))", "stays = y > Quad(noise >> Bits(9u))"),
    ("bits >= Bits(edge(code)))", "bits > Bits(edge(code) + 0x100000u))"),
    ("stays | Mask(!code.signed)", "stays"),
    ("least, bits < Bits(lowest(code))", "least, bits < Bits(edge(code))"),
    ("select(Bits(0u), number, is_held(magnitude))", "number"),
    ("Bits(code.nan), magnitude >= Bits(0x7f800000u)", "Bits(code.nan), magnitude > Bits(0x7f800000u)"),
    ("select(sign, Bits(0u), codes == Bits(0u))", "sign"),
    // update_blocks.wgsl
    ("at % BLOCK_QUADS == 0u", "at % BLOCK_QUADS == 1u"),
    ("let block = index / SHARERS", "let block = 0u"),
    ("settle(s, quad + 2u * LINE, own, block, third)", "settle(s, quad + 2u * LINE, own, block, second)"),
    // access.rs
    ("at / BLOCK_QUADS]); }", "0u]); }"),
    ("magnitude, mask & is_held(magnitude)", "magnitude, is_held(magnitude)"),
    ("store_v(at, after.v, scale", "store_v(at, after.m, scale"),
    ("== bits_param(quad))", "!= bits_param(quad))"),
    ("(bits + Bits(0x8000u)) >> Bits(16u)", "bits >> Bits(16u)"),
    ("& 1u) * 16u)", "& 1u) * 8u)"),
];

/// What differs in scenes that between them use every format.
fn difference(gpu: &Gpu) -> Option<String> {
    let adam = Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() };
    let amsgrad = Config { lr: 0.01, variant: Variant::AmsGrad { of_corrected: false }, ..Config::default() };
    let plain = Variant::Sgd { momentum: 0.0, dampening: 0.0, nesterov: false };
    let sgd = Config { lr: 1.0, variant: plain, ..Config::default() };
    let (f32s, f16, bf16, i32) = (Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I32);
    for (config, formats, state, beside, skip, magnitude) in [
        (adam.clone(), (f16, f16), STATES[0], BESIDE[0], (0, 0), 1.0),
        (adam.clone(), (f16, bf16), STATES[2], BESIDE[1], (1, 1), 1.0),
        (adam.clone(), (f16, f32s), STATES[0], BESIDE[0], (0, 0), 1e4),
        (adam.clone(), (bf16, bf16), STATES[1], BESIDE[0], (3, 2), 1.0),
        (adam.clone(), (bf16, i32), STATES[2], BESIDE[1], (0, 0), 1.0),
        (adam.clone(), (bf16, f16), STATES[3], BESIDE[3], (4, 4), 1.0),
        (amsgrad, (bf16, f32s), STATES[4], BESIDE[2], (4, 5), 1.0),
        (adam.clone(), (f32s, f32s), STATES[4], BESIDE[0], (0, 0), 1e-15),
        (adam.clone(), (f32s, f32s), STATES[3], BESIDE[0], (0, 0), 1.0),
        (sgd.clone(), (f16, f32s), STATES[0], BESIDE[0], (0, 0), 1.0),
        (sgd.clone(), (f16, f32s), STATES[0], BESIDE[1], (0, 0), 1.0),
    ] {
        // Where params are large, so are their steps: to the largest f16 and beyond.
        let config = Config { lr: if magnitude > 1.0 { magnitude } else { config.lr }, ..config };
        let options = Options { precision: precision(state, beside), ..Options::default() };
        let scene = Scene::arena(&[5, 2603, 3], 4, from_ref(&config), options).with_dtypes(formats, skip);
        let mut run = scene.start(gpu);
        if config == sgd {
            run.params[0].fill(0.0);
            gpu.write(&run.param_buffers[0], &run.params[0]);
        }
        for t in 0..6 {
            run.fresh_grads();
            let spot = &scene.spots[1];
            let put = |run: &mut crate::scene::Run, at: usize, x: f32| {
                Numbers::new(spot.formats.1, spot.grad_scale, &[x]).put(&mut run.grads[spot.buffers.1], spot.grad + at);
            };
            if formats.1 == Dtype::F32 {
                run.grads.iter_mut().flatten().for_each(|g| *g *= magnitude.min(1.0) as f32);
            }
            if config == sgd {
                // From a param of zero, to each side and back: parts of the smallest f16, halves among them; and in the
                // end what no f16 is.
                run.grads[0].iter_mut().enumerate().for_each(|(i, g)| *g = (i * (t + 1)) as f32 * 2f32.powi(-30));
                run.grads[0][2600] = if t == 5 { 1e5 } else { 0.0 };
            }
            if t == 3 && !matches!(formats.1, Dtype::I32) {
                put(&mut run, 3, f32::NAN);
                put(&mut run, 9, f32::NEG_INFINITY);
                put(&mut run, 12, 6.1e-5);
            }
            run.upload_grads(gpu);
            gpu.step(&run.adam);
            run.twin_step();
        }
        if let Some(difference) = run.difference(gpu) {
            return Some(difference);
        }
    }
    // Each in buffers of its own, in one dispatch.
    let options = Options { precision: precision(STATES[2], BESIDE[1]), ..Options::default() };
    let mut run = Scene::scattered(&[8, 300, 64], &[adam], options).with_dtypes((bf16, f32s), (0, 0)).start(gpu);
    run.steps(gpu, 2);
    run.difference(gpu)
}

#[test]
fn one_token_of_the_formats_changed_is_noticed() {
    must_be_noticed(MUTATIONS, difference);
}
