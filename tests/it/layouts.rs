//! Random layouts of tensors with random dtypes, groups and options, on devices with limits as small as possible, and
//! with special values as gradients: GPU and twin agree.

use std::sync::LazyLock;

use crate::sampling::proptest_cases;
use crate::scene::precisions::{BESIDE, GRADS, PARAMS, STATES, align, goes_with, precision};
use crate::scene::variants::variants;
use crate::scene::{Gpu, Numbers, Scene, Spot};
use proptest::prelude::*;
use wgpu::Limits;
use wgpu_adam::{Clip, Config, Decay, Dtype, Error, LossScale, Options, Precision, Probe};

/// Binding limits in bytes, and workgroups per dimension. The first are WebGPU's defaults. The last leave room for
/// three groups.
const LIMITS: [(u64, u32); 4] = [(128 << 20, 65_535), (16_384, 3), (4096, 2), (1024, 1)];

static GPUS: LazyLock<[Gpu; 4]> = LazyLock::new(|| {
    LIMITS.map(|(binding, workgroups)| {
        Gpu::with(Limits {
            max_storage_buffer_binding_size: binding,
            max_compute_workgroups_per_dimension: workgroups,
            ..Limits::default()
        })
    })
});

/// The smallest and largest normal and denormal numbers of f32 and of the 16-bit dtypes, zeros, infinities, and NaNs
/// with a payload.
const SPECIAL: [u32; 19] = [
    0x0000_0001,
    0x007f_0000,
    0x807f_ffff,
    0x0080_0000,
    0x7f7f_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x0000_0000,
    0x8000_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc1_2345,
    0x7f80_0001,
    0x5f7f_ffff,
    0x5f80_0000,
    0x3380_0000,
    0xb87f_c000,
    0x477f_e000,
];

/// A tensor before its place in a buffer is known.
#[derive(Clone, Debug)]
struct Place {
    group: usize,
    buffers: (usize, usize),
    /// Unused elements before the param and before the grad.
    gaps: (usize, usize),
    len: usize,
    /// Whether it uses the second pair of dtypes of the scene.
    second: bool,
}

fn place() -> impl Strategy<Value = Place> {
    let gap = || prop_oneof![3 => Just(0_usize), 1 => 1..5_usize, 1 => 0..70_usize];
    let len = prop_oneof![1..8_usize, 1..300_usize, 1020..1030_usize, 1..5000_usize];
    (0..3_usize, (0..3_usize, 0..3_usize), (gap(), gap()), len, prop::bool::weighted(0.25))
        .prop_map(|(group, buffers, gaps, len, second)| Place { group, buffers, gaps, len, second })
}

/// The dtype of a param, and the dtype and `grad_scale` of its gradients.
type Pair = (Dtype, (Dtype, f32));

/// A precision, and two pairs of dtypes that it supports.
fn formats() -> impl Strategy<Value = (Precision, [Pair; 2])> {
    let pair = || {
        let coarse = (Dtype::I32, 1.0 / 4096.0);
        let mut grads = GRADS.map(|grad| (grad, 1e-6)).to_vec();
        grads.push(coarse);
        (prop::sample::select(&PARAMS[..]), prop::sample::select(grads))
    };
    let min_len = prop_oneof![Just(0_u64), Just(100), Just(4096)];
    let (states, beside) = (prop::sample::select(&STATES[..]), prop::sample::select(&BESIDE[..]));
    (states, beside, min_len, any::<u32>(), [pair(), pair()], any::<bool>()).prop_map(
        |(state, beside, state_min_len, seed, pairs, f32s)| {
            let pairs = pairs.map(|(param, grad)| match param {
                _ if f32s => (Dtype::F32, (Dtype::F32, 1.0)),
                Dtype::F16 if !goes_with(param, beside) => (Dtype::Bf16, grad),
                _ => (param, grad),
            });
            (Precision { state_min_len, seed, ..precision(state, beside) }, pairs)
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let decay = prop_oneof![Just(Decay::None), Just(Decay::L2(0.1)), Just(Decay::Decoupled(0.1))];
    (prop::sample::select(variants()), decay, any::<bool>(), prop_oneof![Just(1e-3), Just(0.1), Just(0.0)])
        .prop_map(|(config, decay, maximize, lr)| Config { decay, maximize, lr, ..config })
}

fn options() -> impl Strategy<Value = Options> {
    let clip = prop_oneof![Just(Clip::None), Just(Clip::GlobalNorm(1.0)), Just(Clip::Value(0.5))];
    let loss_scale = LossScale { initial: 1024.0, growth_interval: 2, ..LossScale::default() };
    (clip, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(move |(clip, skip_nonfinite, zero_grad, scaled)| {
        Options {
            clip,
            skip_nonfinite,
            zero_grad,
            loss_scale: scaled.then(|| loss_scale.clone()),
            ..Options::default()
        }
    })
}

/// A single buffer for all tensors, whatever their dtypes, is as likely as several.
fn scene() -> impl Strategy<Value = Scene> {
    let places = prop::collection::vec(place(), 1..9);
    (places, any::<bool>(), 0..9_usize, prop::collection::vec(config(), 3), options(), formats()).prop_map(
        |(places, arena, slack, configs, options, (precision, pairs))| {
            // The lengths of the buffers, in bytes.
            let (mut params, mut grads) = ([0_usize; 3], [0_usize; 3]);
            let mut spots = Vec::new();
            for Place { group, buffers, gaps, len, second } in places {
                let buffers = if arena { (0, 0) } else { buffers };
                let (param_dtype, (grad_dtype, grad_scale)) = pairs[usize::from(second)];
                let formats = (param_dtype, grad_dtype);
                let (param_bytes, grad_bytes) = (formats.0.bytes() as usize, formats.1.bytes() as usize);
                let param = (params[buffers.0].div_ceil(param_bytes) + gaps.0).next_multiple_of(align(&precision));
                let mut grad = grads[buffers.1].div_ceil(grad_bytes) + gaps.1;
                if options.zero_grad && grad_bytes == 2 {
                    // Otherwise 16-bit grads cannot be zeroed.
                    grad += (4 + param % 4 - grad % 4) % 4;
                }
                spots.push(Spot { group, buffers, param, grad, len, formats, grad_scale });
                (params[buffers.0], grads[buffers.1]) = ((param + len) * param_bytes, (grad + len) * grad_bytes);
            }
            let words = |bytes: [usize; 3]| bytes.map(|bytes| (bytes.div_ceil(4) + slack).max(1)).to_vec();
            let options = Options { precision, ..options };
            Scene { params: words(params), grads: words(grads), spots, configs, clips: Vec::new(), options }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gpu_and_twin_agree(
        scene in scene(), gpu in 0..LIMITS.len(), moves: bool,
        specials in prop::collection::vec((0..4_u64, any::<prop::sample::Index>(), prop::sample::select(&SPECIAL[..])), 0..6),
    ) {
        let gpu = &GPUS[gpu];
        // A step does not zero gradients that are given to it, and copies words of them.
        let words = |spot: &Spot| (spot.grad as u64 * spot.formats.1.bytes()).is_multiple_of(4);
        let moves = moves && !scene.options.zero_grad && scene.spots.iter().all(words);
        let mut run = match if moves { scene.try_start_moving(gpu) } else { scene.try_start(gpu) } {
            Ok(run) => run,
            // For example, there are more partials than a binding holds. Any other error is a bug.
            Err(Error::Limit { .. } | Error::BlockTooLarge { .. }) => return Err(TestCaseError::reject("beyond the device's limits")),
            Err(error) => panic!("{error}"),
        };
        for step in 0..4 {
            run.fresh_grads();
            for (_, at, bits) in specials.iter().filter(|special| special.0 == step) {
                let spot = at.get(&scene.spots);
                let special = f32::from_bits(*bits);
                // If the device flushes it to zero, the gradient is zero here too: the step of Lion does not depend on
                // its size.
                let special = if gpu.flushes && special.is_subnormal() { 0.0 } else { special };
                Numbers::new(spot.formats.1, spot.grad_scale, &[special])
                    .put(&mut run.grads[spot.buffers.1], spot.grad + at.index(spot.len));
            }
            if moves {
                run.move_grads(gpu);
            }
            // The last step is also measured, if the device's limits allow it.
            let probe = (step == 3).then(|| Probe::new(&run.adam));
            let no_room = |error: &Error| matches!(error, Error::Limit { .. });
            assert!(!matches!(&probe, Some(Err(error)) if !no_room(error)));
            let Some(Ok(probe)) = probe else {
                run.upload_grads(gpu);
                gpu.step(&run.adam);
                run.twin_step();
                continue;
            };
            let (got, want) = run.measured_step(gpu, &probe);
            // The moments of a tiny gradient are denormal, and the device may flush them.
            let tiny = |bits: u32| f32::from_bits(bits) != 0.0 && f32::from_bits(bits).abs() < 1e-30;
            if gpu.software && !(gpu.flushes && specials.iter().any(|special| tiny(special.2))) {
                // As text, so that a NaN equals a NaN.
                prop_assert_eq!(format!("{got:#?}"), format!("{want:#?}"));
            }
        }
        prop_assert_eq!(run.difference(gpu), None);
    }
}
