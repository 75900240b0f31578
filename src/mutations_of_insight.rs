//! What a probe measures is seen to be compared: one token of its shaders is changed, and the scenes below must notice.

use crate::mutations::{Mutation, must_be_noticed};
use crate::preset::optax;
use crate::scene::{Gpu, Run, Scene};
use crate::{Config, Decay, LossScale, Options, Probe};

const MUTATIONS: &[Mutation] = &[
    // records.wgsl
    ("below >= 32u", "below >= 1u"),
    ("127u - 2u * below", "127u - below"),
    ("a.sum * weight(a.exponent, top)", "a.sum"),
    ("b.sum * weight(b.exponent, top)", "b.sum"),
    ("max(a.exponent, b.exponent)", "a.exponent"),
    ("add_squares(a.step, b.step)", "add_squares(a.update, b.step)"),
    ("a.snr + b.snr", "a.snr"),
    ("max(a.largest_step, b.largest_step)", "b.largest_step"),
    ("a.zero + b.zero", "a.zero"),
    ("a.bad + b.bad", "b.bad"),
    ("atomicStore(&bins[index], 0u)", "atomicStore(&bins[index], 1u)"),
    ("var i = index + 16u; i < WORKGROUP", "var i = index + 32u; i < WORKGROUP"),
    ("var i = 1u; i < 16u", "var i = 2u; i < 16u"),
    // insight.wgsl
    ("(255u - top) << 23u", "(254u - top) << 23u"),
    ("sum += y.w * y.w", "sum += y.z * y.z"),
    ("largest(bits) >> 23u", "largest(bits) >> 24u"),
    ("select(Bits(0u), Bits(1u), mask)", "select(Bits(1u), Bits(0u), mask)"),
    ("grad_now, mask & finite", "grad_now, finite"),
    ("magnitude(grad_now) < Bits(0x7f800000u)", "magnitude(grad_now) < Bits(0x7fc00000u)"),
    ("select(Quad(0.0), param, mask)", "param"),
    ("mask & (magnitude(grad_now) == Bits(0u))", "(magnitude(grad_now) == Bits(0u))"),
    ("count(mask & !finite)", "count(!finite)"),
    ("if s.do_step != 0u {\n        // From", "if true {\n        // From"),
    ("old.param = Quad(0.0);", ""),
    ("gradient(s, grad_now, param)", "grad_now"),
    ("select(Quad(0.0), after.param, mask)", "after.param"),
    ("s.decay * param - after.param", "s.decay * param + after.param"),
    ("largest(magnitude(step))", "largest(magnitude(param))"),
    ("records[record].tile", "records[at].tile"),
    ("scalars(own.group)", "scalars(0u)"),
    ("k < QUADS", "k < 7u"),
    ("let record = region.partial + at", "let record = at"),
    // snr.wgsl
    ("114u, 129u", "115u, 129u"),
    ("129u) - 114u", "128u) - 114u"),
    ("s.snr * abs(after.m)", "abs(after.m)"),
    ("let known = mask & there", "let known = there"),
    ("bins[bin(ratio.y)]", "bins[bin(ratio.x)]"),
    ("bins[bin(ratio.w)], 1u", "bins[bin(ratio.w)], 2u"),
    ("select(Quad(0.0), ratio, known)", "ratio"),
    // insight_finish.wgsl
    ("run.first + index", "index"),
    ("i < run.end", "i < run.end - 1u"),
    ("records[i].bins[k]", "records[run.first].bins[k]"),
    ("scalars(run.group)", "scalars(0u)"),
    ("findings[at].t = s.t", "findings[at].t = s.do_step"),
    ("findings[at].unscale = s.unscale", "findings[at].unscale = 1.0"),
    // tick.wgsl
    ("sqrt(correction2) / correction1", "sqrt(correction1) / correction1"),
    ("slots[i].scalars.t = clock.clocks[i].t", "slots[i].scalars.t = 0u"),
    ("slots[i].scalars.unscale = unscale", ""),
];

/// What differs in the measured steps of the scenes, if anything does.
fn difference(gpu: &Gpu) -> Option<String> {
    let adamw = Config { lr: 0.01, decay: Decay::Decoupled(0.1), ..Config::default() };
    let other = Config { lr: 0.02, beta1: 0.0, maximize: true, decay: Decay::L2(0.1), ..Config::default() };
    let belief = Config { beta1: 0.1, beta2: 0.5, ..optax::adabelief() };
    let loss_scale = Some(LossScale { growth_interval: 3, ..LossScale::default() });
    let guarded = Options { skip_nonfinite: true, loss_scale, ..Options::default() };
    for (scene, bad) in [
        (Scene::arena(&[5, 9001, 7, 20_001], 1, &[adamw.clone(), other.clone()], guarded), false),
        // Where one tensor's quad is another's too: the bad gradient is of one of them.
        (Scene::arena(&[5, 1001, 7], 1, &[adamw, other.clone()], Options::default()), true),
        (Scene::scattered(&[9000, 40], &[belief.clone(), other], Options::default()), false),
    ] {
        let mut run = scene.start(gpu);
        let probe = Probe::new(&run.adam).unwrap();
        for t in 0..4 {
            run.fresh_grads();
            if bad && t == 0 {
                (run.grads[0][5], run.grads[0][1006]) = (f32::NAN, f32::INFINITY);
            }
            if scene.configs[0] == belief {
                // They agree, so that the ratio is large.
                run.grads[0][..5000].fill(1.0);
            }
            if let Some(difference) = measured(&mut run, gpu, &probe) {
                return Some(difference);
            }
        }
        if scene.options.skip_nonfinite {
            run.grads[0][0] = f32::NAN;
            if let Some(difference) = measured(&mut run, gpu, &probe) {
                return Some(difference);
            }
            // A clock that was set, and a step that is skipped.
            run.adam.set_t(77).unwrap();
            run.twin.set_t(77);
            if let Some(difference) = measured(&mut run, gpu, &probe) {
                return Some(difference);
            }
        }
    }
    None
}

fn measured(run: &mut Run, gpu: &Gpu, probe: &Probe) -> Option<String> {
    let (got, want) = run.measured_step(gpu, probe);
    // As text, since a NaN must be equal to a NaN.
    let (got, want) = (format!("{got:?}"), format!("{want:?}"));
    (got != want).then(|| {
        let at = got.bytes().zip(want.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| text.get(at.saturating_sub(40)..(at + 20).min(text.len())).unwrap_or("").to_owned();
        format!("{} for {}", around(&got), around(&want))
    })
}

#[test]
fn one_token_changed_in_the_measuring_is_noticed() {
    must_be_noticed(MUTATIONS, difference);
}
