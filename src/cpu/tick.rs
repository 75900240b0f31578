//! The tick: finishes the norm, decides on the step, and makes the scalars of each clock. Twin of `tick.wgsl`. The
//! arithmetic of powers and scalars is in `src/tick/powers.rs` and `src/tick/scalars.rs`.

use crate::config::loss_scale::ScaleBytes;
use crate::config::options::{Clip, Options};
use crate::cpu::global_norm::global_norm;
use crate::cpu::loss_scale::{adapt_scale, inverse_scale};
use crate::cpu::schedule::factor;
use crate::cpu::unit_norm::{clipped_norm, unit_coef};
use crate::num::quad::WORKGROUP;
use crate::tick::clock::{Clock, ClockHead, NONE};
use crate::tick::curves::Curve;
use crate::tick::partial::{Partial, UnitNorm, reduce};
use crate::tick::scalars::{Decision, Scalars, normal_or_zero};
use crate::tick::settings::Settings;

/// What a tick reads.
pub(crate) struct Inputs<'a> {
    pub options: &'a Options,
    pub partials: &'a [Partial],
    /// Empty if no group is clipped by a norm of its own.
    pub unit_norms: &'a [UnitNorm],
    pub settings: &'a [Settings],
    pub curves: &'a [Curve],
    /// The sums of the gradients of all optimizers, if the norm is shared.
    pub shared_sums: Option<Partial>,
    /// Whether the loss scale belongs to another optimizer, which has stepped before.
    pub shared: bool,
}

/// Advances the clocks, unless the step is skipped, and makes the scalars of each clock.
pub(crate) fn tick(
    inputs: &Inputs,
    clocks: &mut [Clock],
    head: &mut ClockHead,
    loss_scale: &mut Option<ScaleBytes>,
) -> Vec<Scalars> {
    let Inputs { options, unit_norms, settings, curves, shared, .. } = *inputs;
    let unscale = inverse_scale(*loss_scale, shared) * options.share();
    if waits(options, head) {
        let wait = |clock: &mut Clock| Scalars { unscale, t: clock.t, keep_grad: 1, ..Scalars::default() };
        return clocks.iter_mut().map(wait).collect();
    }
    let skip = if head.evaluating != 0 { skip_evaluation(head) } else { decide(inputs, unscale, head) };
    if let (Some(options), Some(state)) = (&options.loss_scale, loss_scale.as_mut().filter(|_| head.evaluating == 0)) {
        adapt_scale(options, state, shared, skip);
    }
    let limit = if let Clip::Value(limit) = options.clip { limit as f32 } else { f32::INFINITY };
    let scalars = settings.iter().zip(clocks).map(|(settings, clock)| {
        if !skip {
            clock.position = clock.position.saturating_add(1);
            clock.lr = settings.lr * factor(curves, settings, clock.position);
        }
        if skip || settings.is_active == 0 {
            return Scalars { unscale, t: clock.t, ..Scalars::default() };
        }
        clock.powers.advance(settings, clock.t, clock.lr);
        clock.t = clock.t.saturating_add(1);
        let unit_coef = unit_coef(unit_norms, settings.unit, unscale);
        let decision = Decision { clip_coef: head.clip_coef, unit_coef, unscale, limit };
        Scalars::new(settings, &clock.powers, clock.t, clock.lr, &decision)
    });
    scalars.collect()
}

/// Adds up the partials: each invocation its own in ascending order, then the tree all of them.
fn finish_partials(partials: &[Partial]) -> Partial {
    let invocation = |index: usize| {
        let mut mine = Partial::ZERO;
        for (i, partial) in partials.iter().enumerate().skip(index).step_by(WORKGROUP as usize) {
            mine.small += partial.small;
            mine.middle += partial.middle;
            mine.big += partial.big;
            if partial.first_nonfinite != NONE {
                mine.first_nonfinite = mine.first_nonfinite.min(i as u32);
            }
        }
        mine
    };
    reduce(&std::array::from_fn(invocation))
}

/// Counts an accumulated gradient. Returns whether the step waits for more.
fn waits(options: &Options, head: &mut ClockHead) -> bool {
    let more = head.accumulated < options.accumulate.unwrap_or(1) - 1;
    head.accumulated = if more { head.accumulated + 1 } else { 0 };
    more
}

/// Skips a step while the params are those for evaluation, since its gradients are not those of the params for training.
fn skip_evaluation(head: &mut ClockHead) -> bool {
    (head.clip_coef, head.last_skipped, head.nonfinite_partial) = (1.0, 1, NONE);
    head.skipped = head.skipped.saturating_add(1);
    true
}

/// Decides for all clocks: sets the norm and the clip coefficient, and returns whether to skip the step.
fn decide(inputs: &Inputs, unscale: f32, head: &mut ClockHead) -> bool {
    let Inputs { options, partials, unit_norms, .. } = *inputs;
    let mut skip = false;
    head.clip_coef = 1.0;
    if !partials.is_empty() {
        let own = finish_partials(partials);
        let total = inputs.shared_sums.unwrap_or(own);
        let finite = total.big.is_finite();
        head.grad_norm = if finite { global_norm(&total, unscale) } else { total.big };
        if let Clip::GlobalNorm(max_norm) = options.clip {
            let coef = max_norm as f32 / (clipped_norm(unit_norms, head.grad_norm, unscale) + 1e-6);
            head.clip_coef = if finite { normal_or_zero(coef.min(1.0)) } else { f32::NAN };
        }
        // The norm may overflow although all gradients are finite. The report then names no tensor.
        let nonfinite = total.first_nonfinite != NONE || !head.grad_norm.is_finite();
        let most = options.max_skipped_in_a_row.unwrap_or(u32::MAX);
        if options.guards() && nonfinite && head.skipped_in_a_row < most {
            skip = true;
            head.nonfinite_partial = own.first_nonfinite;
            if let Some(partial) = partials.get(own.first_nonfinite as usize) {
                head.nonfinite_element = partial.first_nonfinite;
            }
        }
    }
    head.last_skipped = skip.into();
    head.skipped_in_a_row = if skip { head.skipped_in_a_row.min(u32::MAX - 2) + 1 } else { 0 };
    head.skipped = head.skipped.saturating_add(skip.into());
    head.applied += u32::from(!skip && head.applied != u32::MAX);
    skip
}
