//! Any layout of any tensors in any groups with any options, on devices with limits as small as a device may have, and with
//! gradients that are no ordinary numbers: GPU and twin side by side.

mod scene;

use std::sync::LazyLock;

use proptest::prelude::*;
use scene::variants::variants;
use scene::{Gpu, Scene, Spot};
use wgpu::Limits;
use wgpu_adam::{Clip, Config, Decay, Error, Options, Probe};

/// Binding limits in bytes and workgroups a dimension. WebGPU's own are the first; the last has room for three groups.
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

/// Smallest and largest of the normal and of the denormal numbers, zeros, infinities and NaNs with a payload.
const SPECIAL: [u32; 14] = [
    0x0000_0001,
    0x807f_ffff,
    0x0080_0000,
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
];

/// A tensor: group, param buffer, gap before it, grad buffer, gap before it, length.
type Place = (usize, usize, usize, usize, usize, usize);

fn place() -> impl Strategy<Value = Place> {
    let gap = || prop_oneof![3 => Just(0_usize), 1 => 1..5_usize, 1 => 0..70_usize];
    let len = prop_oneof![1..8_usize, 1..300_usize, 1020..1030_usize, 1..5000_usize];
    (0..3_usize, 0..3_usize, gap(), 0..3_usize, gap(), len)
}

fn config() -> impl Strategy<Value = Config> {
    let decay = prop_oneof![Just(Decay::None), Just(Decay::L2(0.1)), Just(Decay::Decoupled(0.1))];
    (prop::sample::select(variants()), decay, any::<bool>(), prop_oneof![Just(1e-3), Just(0.1), Just(0.0)])
        .prop_map(|(config, decay, maximize, lr)| Config { decay, maximize, lr, ..config })
}

fn options() -> impl Strategy<Value = Options> {
    let clip = prop_oneof![Just(Clip::None), Just(Clip::GlobalNorm(1.0)), Just(Clip::Value(0.5))];
    (clip, any::<bool>(), any::<bool>()).prop_map(|(clip, guard, zero_grad)| Options {
        clip,
        guard,
        zero_grad,
        ..Options::default()
    })
}

/// One buffer for all tensors is as likely as several.
fn scene() -> impl Strategy<Value = Scene> {
    let places = prop::collection::vec(place(), 1..9);
    (places, any::<bool>(), 0..9_usize, prop::collection::vec(config(), 3), options()).prop_map(
        |(places, arena, slack, configs, options)| {
            let (mut params, mut grads) = (vec![0; 3], vec![0; 3]);
            let mut spots = Vec::new();
            for (group, param_buffer, param_gap, grad_buffer, grad_gap, len) in places {
                let buffers = if arena { (0, 0) } else { (param_buffer, grad_buffer) };
                let (param, grad) = (params[buffers.0] + param_gap, grads[buffers.1] + grad_gap);
                spots.push(Spot { group, buffers, param, grad, len });
                (params[buffers.0], grads[buffers.1]) = (param + len, grad + len);
            }
            let with_slack = |lens: Vec<usize>| lens.into_iter().map(|len| (len + slack).max(1)).collect();
            Scene { params: with_slack(params), grads: with_slack(grads), spots, configs, options }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(60, |cases| cases.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gpu_and_twin_agree(
        scene in scene(), gpu in 0..LIMITS.len(),
        specials in prop::collection::vec((0..4_u64, any::<prop::sample::Index>(), prop::sample::select(&SPECIAL[..])), 0..6),
    ) {
        let gpu = &GPUS[gpu];
        let mut run = match scene.try_start(gpu) {
            Ok(run) => run,
            // More partials than a binding holds, say. All else would be a mistake.
            Err(Error::Limit { .. }) => return Err(TestCaseError::reject("beyond the device's limits")),
            Err(error) => panic!("{error}"),
        };
        for step in 0..4 {
            run.fresh_grads();
            for (_, at, bits) in specials.iter().filter(|special| special.0 == step) {
                let spot = at.get(&scene.spots);
                let special = f32::from_bits(*bits);
                // Where the device takes it for zero it is zero: Lion, for one, knows no small steps.
                let special = if gpu.flushes && special.is_subnormal() { 0.0 } else { special };
                run.grads[spot.buffers.1][spot.grad + at.index(spot.len)] = special;
            }
            // The last step is measured too, where the device has room for it.
            let probe = if step == 3 { Probe::new(&gpu.device, &run.adam).ok() } else { None };
            let Some(probe) = probe else {
                run.upload_grads(gpu);
                gpu.step(&run.adam);
                run.twin_step();
                continue;
            };
            let (got, want) = run.measured_step(gpu, &probe);
            // The moments of a tiny gradient are denormal, and those the device may lose.
            let tiny = |bits: u32| f32::from_bits(bits) != 0.0 && f32::from_bits(bits).abs() < 1e-30;
            if gpu.software && !(gpu.flushes && specials.iter().any(|special| tiny(special.2))) {
                // As text, since a NaN must be equal to a NaN.
                prop_assert_eq!(format!("{got:#?}"), format!("{want:#?}"));
            }
        }
        prop_assert_eq!(run.difference(gpu), None);
    }
}
