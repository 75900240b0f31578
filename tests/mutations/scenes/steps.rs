//! Steps of Adam in f32 over layouts and options. The gradients have all magnitudes, and some are not finite.

use wgpu_adam::{Clip, Config, Decay, GroupClip, LossScale, NormSums, Options, Schedule, Variant, preset};

use super::Difference;
use crate::scene::{Gpu, Run, Scene, Spot, normal};

pub const SCENES: &[(&str, Difference)] = &[
    ("arena", |gpu| steps(gpu, Scene::arena(&[5, 1003, 7, 2501], 1, &[adamw(), other()], all()), 1.0)),
    ("tiny gradients", |gpu| steps(gpu, Scene::arena(&[12, 1004, 8], 4, &[adamw(), other()], all()), 1e-30)),
    ("two buffers", |gpu| steps(gpu, two_buffers(), 1.0)),
    ("unaligned", |gpu| steps(gpu, Scene::offset(1002, (3, 2), (6, 0), adamw(), all()), 1.0)),
    ("huge gradients", |gpu| steps(gpu, Scene::scattered(&[4096], &[other()], all()), 1e30)),
    // Three tensors share a dispatch, and one of them has several workgroups.
    ("several in a dispatch", |gpu| steps(gpu, Scene::scattered(&[64, 4096, 1000], &[adamw()], all()), 1.0)),
    ("clipped by a factor below 2^-126", |gpu| steps(gpu, Scene::scattered(&[8], &[other()], all()), 1e36)),
    ("clipped by value", |gpu| steps(gpu, Scene::scattered(&[4096], &[l2()], by_value()), 1.0)),
    ("clamped", |gpu| steps(gpu, Scene::scattered(&[300], &[clamped()], Options::default()), 1.0)),
    ("squares that overflow", |gpu| {
        steps(gpu, Scene::scattered(&[8], &[l2()], Options { clip: Clip::None, ..by_value() }), 1e25)
    }),
    ("gradients that underflow", |gpu| steps(gpu, Scene::scattered(&[8], &[without_eps()], Options::default()), 1e-24)),
    ("AdaBelief, largest gradients", |gpu| steps(gpu, largest(preset::optax::adabelief()), 1e25)),
    ("AdaGrad, largest gradients", |gpu| steps(gpu, largest(preset::optax::adagrad()), 1e25)),
    ("loss scale", |gpu| steps(gpu, Scene::arena(&[5, 1003, 7], 4, &[adamw(), other()], scaled(10, 3)), 1.0)),
    ("least loss scale", |gpu| steps(gpu, Scene::scattered(&[40], &[other()], power_of_two(-64, 100)), 1e-5)),
    ("largest loss scale", |gpu| steps(gpu, Scene::scattered(&[40], &[other()], power_of_two(63, 2)), 1e10)),
    // The norm overflows when the gradients are unscaled.
    ("norm that overflows", |gpu| steps(gpu, Scene::scattered(&[40], &[adamw()], scaled(-20, 3)), 1e38)),
    ("centered RMSProp", |gpu| steps(gpu, Scene::scattered(&[1000], &[centered(0.0)], Options::default()), 1.0)),
    ("centered RMSProp with momentum", |gpu| {
        steps(gpu, Scene::scattered(&[1000], &[centered(0.9)], Options::default()), 1.0)
    }),
    ("groups clipped", |gpu| steps(gpu, groups_clipped(0.01), 1.0)),
    ("groups clipped, huge gradients", |gpu| steps(gpu, groups_clipped(1e30), 1e35)),
    ("unguarded NaN", unguarded_nan),
    ("accumulated", accumulated),
    ("shared norm", |gpu| shared_norm(gpu, Scene::arena(&[5, 1003, 7], 4, &[adamw(), other()], shared()), 1.0)),
    ("shared norm, tiny gradients", |gpu| {
        shared_norm(gpu, Scene::arena(&[12, 1004], 4, &[adamw(), other()], shared()), 1e-30)
    }),
    ("shared norm, huge gradients", |gpu| {
        shared_norm(gpu, Scene::arena(&[12, 1004], 4, &[adamw(), other()], shared()), 1e30)
    }),
    ("shared norm, squares that overflow", |gpu| {
        let options = Options { clip: Clip::None, ..shared() };
        shared_norm(gpu, Scene::arena(&[5, 1003], 4, &[adamw(), other()], options), 1.0)
    }),
    ("shared norm, groups clipped", |gpu| shared_norm(gpu, Scene { options: shared(), ..groups_clipped(0.01) }, 1.0)),
    ("inactive", inactive),
    ("LaProp", |gpu| steps(gpu, largest(preset::timm::laprop()), 1.0)),
    ("AdEMAMix", |gpu| steps(gpu, Scene::arena(&[8, 300], 4, &[ademamix(1), ademamix(20)], all()), 1.0)),
    ("LAMB", |gpu| steps(gpu, rescaled(preset::optax::lamb()), 1.0)),
    // 270 workgroups sum a tensor, more than have an invocation.
    ("LAMB of many workgroups", |gpu| {
        steps(gpu, Scene::scattered(&[270 * 8192], &[preset::optax::lamb()], Options::default()), 1.0)
    }),
    ("StableAdamW", |gpu| steps(gpu, rescaled(preset::optimi::stable_adamw()), 1e-3)),
    ("StableAdamW, large eps", |gpu| {
        steps(gpu, rescaled(Config { eps: 0.1, bias_correction: false, ..preset::optimi::stable_adamw() }), 1.0)
    }),
    ("LAMB apart", |gpu| steps(gpu, Scene::scattered(&[300, 9003], &[preset::optax::lamb()], Options::default()), 1.0)),
    ("Cautious AdamW", |gpu| steps(gpu, rescaled(preset::timm::cautious_adamw()), 1.0)),
    ("Schedule-Free", schedule_free),
    ("ADOPT", |gpu| steps(gpu, largest(preset::optax::adopt()), 1.0)),
    ("NAdam", |gpu| steps(gpu, largest(preset::pytorch::nadam()), 1.0)),
    ("cautious decay", |gpu| steps(gpu, decayed(Decay::Cautious(0.3)), 1.0)),
    ("corrected decay", corrected_decay),
    ("limited skips", limited_skips),
    ("shared loss scale", shared_loss_scale),
];

fn adamw() -> Config {
    Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() }
}

fn other() -> Config {
    Config { lr: 0.02, maximize: true, eps: 1e-3, ..Config::default() }
}

fn l2() -> Config {
    Config { beta1: 0.4, decay: Decay::L2(0.1), ..Config::default() }
}

fn clamped() -> Config {
    Config { lr: 0.05, param_min: Some(-0.25), param_max: Some(0.5), ..Config::default() }
}

fn without_eps() -> Config {
    Config { eps: 0.0, ..Config::default() }
}

fn largest(config: Config) -> Scene {
    Scene::scattered(&[64], &[config], Options::default())
}

fn centered(momentum: f64) -> Config {
    let variant = Variant::RmsProp { momentum, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: true };
    Config { beta2: 0.9, variant, ..Config::default() }
}

fn ademamix(warmup: u32) -> Config {
    let variant = Variant::AdEmaMix { beta3: 0.999, alpha: 5.0, warmup };
    Config { variant, ..preset::optax::ademamix() }
}

/// Two tensors with a factor, one of which has two workgroups, and two without.
fn rescaled(config: Config) -> Scene {
    let config = Config { lr: 0.05, decay: Decay::Decoupled(0.3), ..config };
    Scene::arena(&[5, 9003, 7, 250], 1, &[config, adamw()], all())
}

/// A warm-up, an evaluation that begins twice, and a step in it.
fn schedule_free(gpu: &Gpu) -> Option<String> {
    let config = Config { beta1: 0.6, lr: 0.1, decay: Decay::Decoupled(0.3), ..preset::schedulefree::adamw() };
    let mut run = Scene::arena(&[8, 3000], 4, &[config, adamw()], all()).start(gpu);
    let schedule = Schedule::WarmUp { steps: 3 };
    run.adam.set_schedule(0, schedule.clone()).unwrap();
    run.twin.set_schedule(0, schedule).unwrap();
    run.steps(gpu, 5);
    for (changes, steps) in [([true, true], 2), ([false, false], 1)] {
        for evaluates in changes {
            run.change_mode(gpu, evaluates);
        }
        run.steps(gpu, steps);
        let difference = run.difference(gpu);
        if difference.is_some() {
            return difference;
        }
    }
    None
}

fn all() -> Options {
    Options { clip: Clip::GlobalNorm(0.01), skip_nonfinite: true, zero_grad: true, ..Options::default() }
}

fn by_value() -> Options {
    Options { clip: Clip::Value(0.5), ..Options::default() }
}

fn scaled(exponent: i32, growth_interval: u32) -> Options {
    let loss_scale = LossScale { initial: 1.5 * 2f64.powi(exponent), growth_interval, ..LossScale::default() };
    Options { skip_nonfinite: false, loss_scale: Some(loss_scale), ..all() }
}

fn groups_clipped(max_norm: f64) -> Scene {
    let clips = [Some(GroupClip::Tensor(max_norm)), Some(GroupClip::Group(max_norm))];
    Scene::arena(&[5, 20_003, 7, 2501], 4, &[adamw(), other()], all()).clipped(clips)
}

fn power_of_two(exponent: i32, growth_interval: u32) -> Options {
    let loss_scale = LossScale { initial: 2f64.powi(exponent), growth_interval, ..LossScale::default() };
    Options { clip: Clip::None, loss_scale: Some(loss_scale), ..all() }
}

fn two_buffers() -> Scene {
    Scene {
        params: vec![30_000, 100],
        grads: vec![30_000, 100],
        // The first tensor covers exactly 28 workgroups of the update kernel, beginning at quad 2.
        spots: vec![Spot::f32(0, (0, 0), 9, 73, 28_671), Spot::f32(0, (1, 1), 4, 0, 50)],
        configs: vec![adamw()],
        clips: Vec::new(),
        options: all(),
    }
}

/// Makes twelve steps on both sides, with gradients multiplied by `scale`.
fn steps(gpu: &Gpu, scene: Scene, scale: f32) -> Option<String> {
    let mut run = scene.start(gpu);
    for t in 0..12 {
        run.fresh_grads();
        run.grads.iter_mut().flatten().for_each(|g| *g *= scale);
        if (scene.options.skip_nonfinite || scene.options.loss_scale.is_some()) && t % 5 == 4 {
            // One near the end of the buffer, and one in a quad in which a tensor begins.
            let at = if t < 5 { run.grads[0].len() - 2 } else { 5 };
            run.grads[0][at] = f32::NAN;
        } else if scale == 1e25 {
            run.grads[0][3] = 1.9e19;
        }
        if t == 0 {
            // Without this, zeros that happen to come first would hide a lane.
            run.grads.iter_mut().flatten().enumerate().for_each(|(i, g)| *g = scale * normal(7, 0, i as u64));
        }
        run.upload_grads(gpu);
        gpu.step(&run.adam);
        run.twin_step();
    }
    run.difference(gpu).or_else(|| {
        let (got, want) = (gpu.state(&run.adam).clocks, run.twin.state().clocks);
        (got != want).then(|| format!("clocks: {got:?} for {want:?}"))
    })
}

/// If the step is clipped and not skipped, a non-finite gradient must make every parameter NaN.
fn unguarded_nan(gpu: &Gpu) -> Option<String> {
    let mut run = Scene::scattered(&[8], &[adamw()], Options { skip_nonfinite: false, ..all() }).start(gpu);
    run.grads[0][3] = f32::INFINITY;
    run.upload_grads(gpu);
    gpu.step(&run.adam);
    let values = gpu.read(&run.param_buffers[0]);
    (!values.iter().all(|p| p.is_nan())).then(|| "a parameter is not NaN".to_owned())
}

/// A step on the seventh of twelve calls.
fn accumulated(gpu: &Gpu) -> Option<String> {
    let options = Options { accumulate: Some(7), ..all() };
    steps(gpu, Scene::arena(&[5, 1003, 7], 4, &[adamw(), other()], options), 1.0)
}

fn shared() -> Options {
    Options { share_norm: true, ..all() }
}

/// Steps with the sums of another optimizer added, in one of which only the other one has a NaN.
fn shared_norm(gpu: &Gpu, scene: Scene, scale: f32) -> Option<String> {
    let (mut run, mut other) = (scene.start(gpu), scene.start(gpu));
    let difference = |run: &mut Run, sums: &NormSums| {
        let (got, want) = (gpu.norm_sums(&run.adam), run.twin_step_by(|twin, tensors| twin.norm(tensors)));
        // As text, in which NaN is equal to NaN.
        let texts = [&got, &want].map(|sums| format!("{sums:?}"));
        (texts[0] != texts[1]).then(|| texts.join(" for ")).or_else(|| {
            let mut total = want;
            total.add(sums).unwrap();
            gpu.update_with(&run.adam, &total);
            run.twin_step_by(|twin, tensors| twin.update(tensors, &total));
            None
        })
    };
    for t in 0..6 {
        for run in [&mut run, &mut other] {
            run.fresh_grads();
            run.grads.iter_mut().flatten().enumerate().for_each(|(i, g)| *g *= scale * (1.0 + i as f32));
        }
        // Without clipping, a gradient counts as non-finite if its square overflows.
        let bad = if run.scene.options.clip == Clip::None { 1e20 } else { f32::NAN };
        other.grads[0][3] = if t == 4 { bad } else { 3.0 * scale };
        run.upload_grads(gpu);
        let sums = other.twin_step_by(|twin, tensors| twin.norm(tensors));
        if let Some(found) = difference(&mut run, &sums).or_else(|| run.difference(gpu)) {
            return Some(found);
        }
    }
    None
}

/// One of three tensors takes no part.
fn inactive(gpu: &Gpu) -> Option<String> {
    let mut run = Scene::arena(&[5, 64, 7], 4, &[adamw()], all()).start(gpu);
    run.adam.set_active(&["tensor1"], false).unwrap();
    run.twin.set_active(&["tensor1"], false).unwrap();
    run.steps(gpu, 3);
    run.difference(gpu)
}

/// No more than one step is skipped in a row.
fn limited_skips(gpu: &Gpu) -> Option<String> {
    let options = Options { skip_nonfinite: true, max_skipped_in_a_row: Some(1), ..Options::default() };
    let mut run = Scene::scattered(&[8], &[adamw()], options).start(gpu);
    run.steps(gpu, 1);
    for _ in 0..3 {
        run.fresh_grads();
        run.grads[0][3] = f32::NAN;
        run.upload_grads(gpu);
        gpu.step(&run.adam);
        run.twin_step();
        let counts = [gpu.report(&run.adam), run.twin.report()].map(|report| (report.skipped, report.skipped_in_a_row));
        if counts[0] != counts[1] {
            return Some(format!("{counts:?}"));
        }
    }
    None
}

/// Two optimizers share a loss scale. Either, both or none of them skips.
fn shared_loss_scale(gpu: &Gpu) -> Option<String> {
    let start = || Scene::scattered(&[8], &[adamw()], power_of_two(10, 3)).start(gpu);
    let (mut leader, mut follower) = (start(), start());
    follower.adam.share_loss_scale(&leader.adam).unwrap();
    for t in 0..24 {
        for (run, every) in [(&mut leader, 7), (&mut follower, 5)] {
            run.fresh_grads();
            if t % every == every - 1 {
                run.grads[0][3] = f32::NAN;
            }
            run.upload_grads(gpu);
            gpu.step(&run.adam);
        }
        leader.twin_step();
        follower.twin_step_by(|twin, tensors| twin.step_with_loss_scale_of(&mut leader.twin, tensors));
    }
    leader.difference(gpu).or_else(|| follower.difference(gpu))
}

fn decayed(decay: Decay) -> Scene {
    Scene::scattered(&[300], &[Config { lr: 0.05, decay, ..Config::default() }], Options::default())
}

/// The largest factor of the schedule is not 1.
fn corrected_decay(gpu: &Gpu) -> Option<String> {
    let mut run = decayed(Decay::Corrected(0.3)).start(gpu);
    let schedule = Schedule::Linear { from: 3.0, to: 0.5, steps: 5 };
    run.adam.set_schedule(0, schedule.clone()).unwrap();
    run.twin.set_schedule(0, schedule).unwrap();
    run.steps(gpu, 4);
    run.difference(gpu)
}
