//! Every comparison is seen to fail: one token of a shader is changed, and the scenes below must notice.

use std::cell::{Cell, RefCell};
use std::slice::from_ref;

use crate::scene::{Gpu, Scene, Spot, normal};
use crate::{Adam, Clip, Config, Decay, Group, LossScale, Options, Schedule, Tensor, cpu};

pub(crate) type Mutation = (&'static str, &'static str);

thread_local! {
    static MUTATION: RefCell<Option<Mutation>> = const { RefCell::new(None) };
    static APPLIED: Cell<bool> = const { Cell::new(false) };
}

/// The shader's source with the mutation of the moment, if there is one.
pub(crate) fn mutated(source: String) -> String {
    match MUTATION.with_borrow(|mutation| *mutation) {
        Some((from, to)) if source.contains(from) => {
            APPLIED.set(true);
            source.replacen(from, to, 1)
        }
        _ => source,
    }
}

const MUTATIONS: &[Mutation] = &[
    // step.wgsl and update.wgsl
    ("+ rate * (x - old)", "- rate * (x - old)"),
    ("select(old, x, from_target != 0u)", "select(old, x, from_target == 0u)"),
    ("average(old.m, g, s.m_rate", "average(old.m, g, s.v_rate"),
    ("average(old.v, g * g, s.v_rate", "average(old.v, g * g, s.m_rate"),
    ("average(old.v, g * g,", "average(old.v, g,"),
    ("(s.m_coef * now.m)", "(s.m_coef * g)"),
    ("return sqrt(now.v + s.eps_root)", "return (now.v + s.eps_root)"),
    ("s.eps_root) * s.v_coef", "s.eps_root)"),
    ("s.v_coef + s.eps;", "s.v_coef - s.eps;"),
    ("s.v_coef + s.eps;", "s.v_coef;"),
    ("(s.decay * param + step)", "(s.decay * param - step)"),
    ("(s.decay * param + step)", "(s.decay + step)"),
    ("s.scale * grad", "grad"),
    ("s.l2 * param;", "s.l2;"),
    ("abs(g) > Quad(limit)", "abs(g) < Quad(limit)"),
    ("select(Quad(limit), Quad(-limit)", "select(Quad(-limit), Quad(limit)"),
    ("Bits(0x5f7fffffu)", "Bits(0x5f000000u)"),
    ("Bits(0x5f800000u)", "Bits(0x5f900000u)"),
    ("if s.do_step != 0u", "if s.do_step == 7u || true"),
    ("quad + region.grad_shift", "quad - region.grad_shift"),
    ("quad + 2u * LINE", "quad + LINE"),
    ("sharer / LINE * (LINE * OWN_QUADS)", "sharer / LINE * LINE"),
    ("* TILES + index / SHARERS", "* TILES + index % TILES"),
    // stores
    ("store_m(at, after.m, mask);", "store_m(at, after.v, mask);"),
    ("if mask.w { param[at]", "if mask.z { param[at]"),
    ("if mask.w { param[at + 3u]", "if mask.z { param[at + 3u]"),
    ("param[at + 1u], param[at + 2u]", "param[at + 2u], param[at + 1u]"),
    ("4u*quad + region.grad_shift", "4u*(quad + region.grad_shift)"),
    ("param[at].y = x.y", "param[at].y = x.x"),
    ("let at = quad + own.shift", "let at = quad - own.shift"),
    ("region.state - region.quad)", "region.state)"),
    ("region.state - region.quad)", "0u - region.quad)"),
    ("if mask.x { grad[at]", "if mask.y { grad[at]"),
    ("store_grad(quad, Quad(0.0)", "store_grad(quad, Quad(1.0)"),
    // region.wgsl and its two readers
    ("(e >= Bits(begin))", "(e > Bits(begin))"),
    ("(e < Bits(end))", "(e <= Bits(end))"),
    ("region.quad + number * quads", "number * quads"),
    ("return tiles[number];", "return tiles[number / 2u];"),
    ("let first = group * 16u", "let first = 0u"),
    // many_regions.wgsl, and what chooses among the bindings
    ("number >= regions[i].workgroup", "number > regions[i].workgroup"),
    ("return number - region.workgroup", "return number"),
    ("region = regions[which]", "region = regions[0]"),
    ("case 1u: { return load_grad1(quad)", "case 1u: { return load_grad0(quad)"),
    ("case 2u: { return load_param2(quad)", "case 2u: { return load_param1(quad)"),
    ("case 2u: { store_param2(quad", "case 2u: { store_param0(quad"),
    // norm.wgsl and partial.wgsl
    ("seen.squares + g * g", "seen.squares - g * g"),
    ("gradients(own, quad + 5u", "gradients(own, quad + 4u"),
    ("index / LINE * (LINE * QUADS)", "index / LINE * LINE"),
    ("select(0.0, all, big), first_nonfinite", "all, first_nonfinite"),
    ("select(UP, DOWN, big)", "UP"),
    ("select(sum(seen.squares), 0.0, rare)", "sum(seen.squares)"),
    ("top != 0u && top < SMALL", "top > SMALL"),
    ("(x.x + x.y) + (x.z + x.w)", "(x.x + x.y) + (x.z + x.z)"),
    ("bitcast<Bits>(g) & Bits(0x7fffffffu);", "bitcast<Bits>(g);"),
    ("min(first_nonfinite, nonfinite_element(", "max(0u, nonfinite_element("),
    ("quad * LANES + lane, lane", "quad * LANES, lane"),
    ("region.partial + at", "at"),
    ("var i = index + 16u", "var i = index + 32u"),
    ("var i = 1u; i < 16u", "var i = 2u; i < 16u"),
    ("a.small + b.small", "a.small"),
    ("a.big + b.big", "a.big"),
    ("min(a.first_nonfinite, b.first_nonfinite)", "a.first_nonfinite"),
    ("unscale * DOWN", "unscale * UP"),
    ("unscale * UP", "unscale"),
    // tick.wgsl
    ("correction1 = complement(powers.beta1_t)", "correction1 = complement(powers.beta2_t)"),
    ("1.0 / sqrt(correction2)", "1.0 / correction2"),
    ("lr * s.weight_decay", "s.weight_decay"),
    ("return Powers(s.beta1, s.beta2,", "return Powers(s.beta2, s.beta2,"),
    ("product(now.product, momentum(s.beta1, gamma_t))", "product(now.product, gamma_t)"),
    ("sum1 < low.y", "sum1 > low.y"),
    ("low1 < high.x", "low1 > high.x"),
    ("(cross1 & 0xffffu)", "(cross2 & 0xffffu)"),
    ("s.sign * clip_coef", "clip_coef"),
    ("* clip_coef * unscale", "* clip_coef"),
    ("total.small) * unscale * DOWN", "total.small) * DOWN"),
    ("total.middle) * unscale", "total.middle)"),
    ("total.big) * unscale * UP", "total.big) * UP"),
    ("|| !is_finite(clock.grad_norm)", ""),
    ("min(1.0, control.max_norm", "max(1.0, control.max_norm"),
    ("(clock.grad_norm + 1e-6)", "(clock.grad_norm + 1e-3)"),
    ("bitcast<f32>(control.nan)", "1.0"),
    ("total.first_nonfinite != NONE", "total.first_nonfinite == NONE"),
    ("clock.skipped += select", "clock.skipped = skip"),
    ("clock.nonfinite_element = partials[total.first_nonfinite].first_nonfinite", "clock.nonfinite_element = 0u"),
    ("control.partials; i += WORKGROUP", "1u; i += WORKGROUP"),
    // loss_scale.wgsl
    ("0x7f000000u - bits", "0x7f800000u - bits"),
    ("(bits & 0x007fffffu) == 0u", "(bits & 0x003fffffu) == 0u"),
    ("return 1.0 / loss_scale.scale", "return loss_scale.scale"),
    ("* control.backoff_factor, LEAST)", "* control.growth_factor, LEAST)"),
    ("control.backoff_factor, LEAST)", "control.backoff_factor, 0.0)"),
    ("LEAST);\n        loss_scale.growth_tracker = 0u;", "LEAST);"),
    ("loss_scale.growth_tracker += 1u", "loss_scale.growth_tracker += 2u"),
    ("growth_tracker >= control", "growth_tracker > control"),
    ("* control.growth_factor", "* control.backoff_factor"),
    ("grown <= MOST", "grown < MOST"),
    ("grown, grown <= MOST", "grown, true"),
    ("MOST);\n        loss_scale.growth_tracker = 0u;", "MOST);"),
    ("adapt_scale(skip != 0u)", "adapt_scale(false)"),
];

/// Of what makes a number below 2^-126 zero everywhere: they change nothing on a device that does so by itself.
const MUTATIONS_OF_SMALL_NUMBERS: &[Mutation] = &[("x, (bitcast<u32>(x) & 0x7f800000u) != 0u", "x, true")];

/// Of the integers: noticed by [`difference_of_rates`].
const MUTATIONS_OF_RATES: &[Mutation] = &[
    // fixed.wgsl
    ("(a.x >> (32u - bits)));", "0u);"),
    ("a.x << (bits - 32u)", "a.x << (bits - 31u)"),
    ("32u + countLeadingZeros(a.x)", "countLeadingZeros(a.x)"),
    ("low.y + a.y * k", "low.y"),
    ("low.y + a.y * k", "a.y * k"),
    ("low < a.x", "low > a.x"),
    ("(a.y == b.y && a.x < b.x)", "a.y == b.y"),
    ("rest > 0x80u", "rest > 0xf0u"),
    ("24u - shift", "23u - shift"),
    ("(127u - 24u", "(127u - 23u"),
    // schedule.wgsl
    ("lr = s.lr * factor(s, position)", "lr = s.lr"),
    ("return s.schedule_unit * fraction", "return fraction"),
    ("if s.curves == 0u", "if s.curves == 7u"),
    ("value(s, t - 1u)", "value(s, t)"),
    ("var at = s.first_curve", "var at = 0u"),
    ("at + s.curves", "at + 1u"),
    ("curves[middle].first <= n", "curves[middle].first < n"),
    ("if curve.period != 0u", "if curve.period == 7u"),
    ("curve.first - curve.period + (", "curve.first + ("),
    ("(n - curve.first) % curve.period", "0u"),
    ("period;\n        curve = curve_at(s, n);", "period;"),
    ("(n - curve.first) / curve.every", "(n - curve.first)"),
    ("(n - curve.first) / curve.every", "n / curve.every"),
    ("rises = less(a, b)", "rises = less(b, a)"),
    ("product(select(plus(a, negated(b)), plus(b, negated(a)), rises), x)", "plus(b, negated(a))"),
    ("select(plus(a, negated(b)), plus", "select(plus(b, negated(b)), plus"),
    ("return plus(a, select(negated(gone)", "return plus(b, select(negated(gone)"),
    ("select(negated(gone), gone, rises)", "gone"),
    ("between(curve.start, curve.middle, x), between", "curve.start, between"),
    ("between(curve.start, curve.middle, x), between", "between(curve.start, curve.end, x), between"),
    ("between(curve.middle, curve.end, x), x)", "curve.end, x)"),
    ("between(curve.middle, curve.end, x), x)", "between(curve.start, curve.end, x), x)"),
];

/// The first rate that differs from the twin's, under schedules that together use all of schedule.wgsl.
fn difference_of_rates(gpu: &Gpu) -> Option<String> {
    use Schedule::*;
    let cosine = Cosine { from: 0.1, to: 1.0, steps: 32 };
    let polynomial = |power| Polynomial { from: 0.9, to: 0.25, power, steps: 1_000_003 };
    let table = |interpolate| Table { values: vec![0.1, 0.7, 0.3], every: 7, interpolate };
    let schedules = [
        cosine.clone().with_warm_up(20),
        Linear { from: 3.0, to: 0.5, steps: 1_000_003 },
        CosineRestarts { from: 1.0, to: 0.01, steps: 10, growth: 1 },
        polynomial(0.9),
        polynomial(60.0),
        Exponential { rate: 0.9, every: 100 },
        Step { rate: 1e-3, every: 8 },
        Step { rate: 0.9999, every: 9 },
        InverseSqrt { timescale: 100 },
        table(true),
        table(false),
        Sequence(vec![(0, Constant(0.5)), (9, cosine), (30, Constant(0.25))]),
        Sequence(vec![(0, Constant(1.0)), (10, Linear { from: 2e-15, to: 1e-15, steps: 30 })]),
        Constant(1.0),
    ];
    let groups = schedules.map(|schedule| {
        let (param, grad) = (gpu.buffer(&[0.0]), gpu.buffer(&[1.0]));
        let tensor = Tensor::f32(format!("{schedule:?}"), &param, &grad);
        Group::new(Config::default(), vec![tensor]).with_schedule(schedule)
    });
    let adam = Adam::new(&gpu.device, &gpu.queue, &groups, Options::default()).unwrap();
    let mut twin = adam.to_cpu();
    let mut values = vec![([0.0], [1.0]); groups.len()];
    for t in
        [0, 1, 2, 6, 8, 13, 15, 19, 20, 21, 28, 29, 36, 40, 52, 99, 600, 500_000, 999_988, 1_000_004, 4_000_000_000]
    {
        adam.set_t(t).unwrap();
        twin.set_t(t);
        gpu.step(&adam);
        let mut slots: Vec<_> = values.iter_mut().map(|(param, grad)| cpu::TensorMut::new(param, grad)).collect();
        let (got, want) = (gpu.report(&adam).groups, twin.step(&mut slots).unwrap().groups);
        if let Some(i) = (0..got.len()).find(|&i| got[i].lr.to_bits() != want[i].lr.to_bits()) {
            return Some(format!("t {}: rate {} for {}", got[i].t, got[i].lr, want[i].lr));
        }
    }
    None
}

/// What differs in the scenes, if anything does.
fn difference(gpu: &Gpu) -> Option<String> {
    let adamw = Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() };
    let other = Config { lr: 0.02, maximize: true, eps: 1e-3, ..Config::default() };
    let l2 = Config { beta1: 0.4, decay: Decay::L2(0.1), ..Config::default() };
    let all = Options { clip: Clip::GlobalNorm(0.01), skip_nonfinite: true, zero_grad: true, ..Options::default() };
    let spot = Spot::f32;
    let two_buffers = Scene {
        params: vec![30_000, 100],
        grads: vec![30_000, 100],
        // From quad 2 on, 14 workgroups of the update kernel to the last quad.
        spots: vec![spot(0, (0, 0), 9, 73, 28_671), spot(0, (1, 1), 4, 0, 50)],
        configs: vec![adamw.clone()],
        options: all.clone(),
    };
    let scaled = |exponent, growth_interval| {
        let loss_scale = LossScale { initial: 1.5 * 2f64.powi(exponent), growth_interval, ..LossScale::default() };
        Options { skip_nonfinite: false, loss_scale: Some(loss_scale), ..all.clone() }
    };
    let power_of_two = |exponent, growth_interval| {
        let loss_scale = LossScale { initial: 2f64.powi(exponent), growth_interval, ..LossScale::default() };
        Options { clip: Clip::None, loss_scale: Some(loss_scale), ..all.clone() }
    };
    let value = Options { clip: Clip::Value(0.5), skip_nonfinite: false, zero_grad: false, ..Options::default() };
    for (scene, scale) in [
        (Scene::arena(&[5, 1003, 7, 2501], 1, &[adamw.clone(), other.clone()], all.clone()), 1.0),
        (Scene::arena(&[12, 1004, 8], 4, &[adamw.clone(), other.clone()], all.clone()), 1e-30),
        (two_buffers, 1.0),
        (Scene::offset(1002, (3, 2), (6, 0), adamw.clone(), all.clone()), 1.0),
        (Scene::scattered(&[4096], from_ref(&other), all.clone()), 1e30),
        // Three in one dispatch, of which one has several workgroups.
        (Scene::scattered(&[64, 4096, 1000], from_ref(&adamw), all.clone()), 1.0),
        // Clipped by a factor below 2^-126.
        (Scene::scattered(&[8], from_ref(&other), all.clone()), 1e36),
        (Scene::scattered(&[4096], from_ref(&l2), value.clone()), 1.0),
        (Scene::scattered(&[8], &[l2], Options { clip: Clip::None, ..value.clone() }), 1e25),
        (Scene::arena(&[5, 1003, 7], 4, &[adamw.clone(), other.clone()], scaled(10, 3)), 1.0),
        // At the least scale, and above the largest.
        (Scene::scattered(&[40], from_ref(&other), power_of_two(-64, 100)), 1e-5),
        (Scene::scattered(&[40], &[other], power_of_two(63, 2)), 1e10),
        // A norm that overflows when the scale is taken back.
        (Scene::scattered(&[40], from_ref(&adamw), scaled(-20, 3)), 1e38),
    ] {
        let mut run = scene.start(gpu);
        for t in 0..12 {
            run.fresh_grads();
            run.grads.iter_mut().flatten().for_each(|g| *g *= scale);
            if scene.options.guards() && t % 5 == 4 {
                // Near the end; and where a tensor begins within a quad.
                let bad = if t < 5 { run.grads[0].len() - 2 } else { 5 };
                run.grads[0][bad] = f32::NAN;
            } else if scale == 1e25 {
                run.grads[0][3] = 1.9e19;
            }
            if t == 0 {
                // A leading coincidence of zeros would hide a lane.
                run.grads.iter_mut().flatten().enumerate().for_each(|(i, g)| *g = scale * normal(7, 0, i as u64));
            }
            run.upload_grads(gpu);
            gpu.step(&run.adam);
            run.twin_step();
        }
        if let Some(difference) = run.difference(gpu) {
            return Some(difference);
        }
        let clock = gpu.read(&run.adam.clock);
        if !bytemuck::cast_slice::<f32, u8>(&clock).ends_with(bytemuck::cast_slice(&run.twin.clocks)) {
            return Some("the powers of beta differ".to_owned());
        }
    }
    // Unguarded and clipped, a NaN is to be seen everywhere.
    let mut run = Scene::scattered(&[8], &[adamw], Options { skip_nonfinite: false, ..all.clone() }).start(gpu);
    run.grads[0][3] = f32::INFINITY;
    run.upload_grads(gpu);
    gpu.step(&run.adam);
    let values = gpu.read(&run.param_buffers[0]);
    (!values.iter().all(|p| p.is_nan())).then(|| "a parameter is not NaN".to_owned())
}

/// Makes each of the mutations in turn; `difference` must find something then, and nothing without.
pub(crate) fn must_be_noticed(mutations: &[Mutation], difference: impl Fn(&Gpu) -> Option<String>) {
    let gpu = Gpu::new();
    assert_eq!(difference(&gpu), None, "unchanged");
    let mut unnoticed = Vec::new();
    for mutation in mutations {
        MUTATION.set(Some(*mutation));
        APPLIED.set(false);
        let difference = difference(&gpu);
        MUTATION.set(None);
        assert!(APPLIED.get(), "{mutation:?}: there is no such token");
        match difference {
            Some(difference) => println!("{mutation:?}: {difference}"),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:#?}");
}

#[test]
fn one_token_changed_is_noticed() {
    must_be_noticed(MUTATIONS, difference);
}

#[test]
fn one_token_of_what_is_below_all_normal_numbers_is_noticed() {
    let flushes = Gpu::new().flushes;
    println!("this device {}", if flushes { "takes them for zero, changed or not" } else { "keeps them" });
    must_be_noticed(if flushes { &[] } else { MUTATIONS_OF_SMALL_NUMBERS }, difference);
}

#[test]
fn one_token_of_the_schedules_changed_is_noticed() {
    must_be_noticed(MUTATIONS_OF_RATES, difference_of_rates);
}
