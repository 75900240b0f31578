//! The rules. Twin of `shaders/rules/*.wgsl`: each function has the name of a file there. A rule writes the new state
//! and returns the step.

use crate::config::rule::Rule;
use crate::cpu::gradient::{average, clipped, divisor, larger, squarable, within_bf16};
use crate::tick::scalars::Scalars;

/// The state of one element. A moment that a rule does not keep is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub m: f32,
    pub v: f32,
    /// Or the average of the gradient: no rule has both.
    pub v_max: f32,
    /// The square of the gradient, or the mean or sum of the squares of a row.
    pub square: f32,
    /// The parameter before the step.
    pub param: f32,
}

/// Evaluates an expression with the function of a rule, which the compiler can inline.
macro_rules! with_rule {
    ($rule:expr, $function:ident => $body:expr) => {
        match $rule {
            Rule::Adam | Rule::Lamb | Rule::Stable => {
                let $function = $crate::cpu::rules::adam;
                $body
            }
            Rule::AmsGrad => {
                let $function = $crate::cpu::rules::amsgrad;
                $body
            }
            Rule::AdaMax => {
                let $function = $crate::cpu::rules::adamax;
                $body
            }
            Rule::NAdam => {
                let $function = $crate::cpu::rules::nadam;
                $body
            }
            Rule::AdaBelief => {
                let $function = $crate::cpu::rules::adabelief;
                $body
            }
            Rule::LaProp => {
                let $function = $crate::cpu::rules::laprop;
                $body
            }
            Rule::Adopt => {
                let $function = $crate::cpu::rules::adopt;
                $body
            }
            Rule::AdEmaMix => {
                let $function = $crate::cpu::rules::ademamix;
                $body
            }
            Rule::Cautious => {
                let $function = $crate::cpu::rules::cautious;
                $body
            }
            Rule::ScheduleFree => {
                let $function = $crate::cpu::rules::schedule_free;
                $body
            }
            Rule::Lion => {
                let $function = $crate::cpu::rules::lion;
                $body
            }
            Rule::RmsProp => {
                let $function = $crate::cpu::rules::rmsprop;
                $body
            }
            Rule::RmsPropMomentum => {
                let $function = $crate::cpu::rules::rmsprop_momentum;
                $body
            }
            Rule::RmsPropCentered => {
                let $function = $crate::cpu::rules::rmsprop_centered;
                $body
            }
            Rule::RmsPropCenteredMomentum => {
                let $function = $crate::cpu::rules::rmsprop_centered_momentum;
                $body
            }
            Rule::AdaGrad => {
                let $function = $crate::cpu::rules::adagrad;
                $body
            }
            Rule::Momentum => {
                let $function = $crate::cpu::rules::momentum;
                $body
            }
            Rule::Sgd => {
                let $function = $crate::cpu::rules::sgd;
                $body
            }
        }
    };
}

pub(crate) use with_rule;

/// The function of a rule, as a pointer.
pub(crate) fn of(rule: Rule) -> fn(&Scalars, &mut State, f32) -> f32 {
    with_rule!(rule, function => function)
}

#[inline(always)]
pub(crate) fn adam(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    state.m = m;
    state.v = v;
    (s.m_coef * m) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn amsgrad(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    let v_max = larger(state.v_max, v * s.max_coef);
    state.m = m;
    state.v = v;
    state.v_max = v_max;
    (s.m_coef * m) / divisor(s, v_max + s.eps_root)
}

#[inline(always)]
pub(crate) fn adamax(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = larger(s.adamax_beta2 * state.v, g.abs() + s.eps);
    state.m = m;
    state.v = v;
    (s.m_coef * m) / v
}

#[inline(always)]
pub(crate) fn nadam(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    state.m = m;
    state.v = v;
    (s.m_coef * m + s.g_coef * g) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn adabelief(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let surprise = squarable(g - m);
    let v = average(state.v, surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    state.m = m;
    state.v = v;
    (s.m_coef * m) / divisor(s, v)
}

#[inline(always)]
pub(crate) fn laprop(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    let m = average(state.m, g / divisor(s, v + s.eps_root), s.m_rate, s.m_from_target);
    state.m = m;
    state.v = v;
    s.m_coef * m
}

#[inline(always)]
pub(crate) fn adopt(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let old = state.v;
    let root = old.sqrt();
    let n = g / if root < s.eps { s.eps } else { root };
    let m = average(state.m, clipped(n, s.bound), s.m_rate, s.m_from_target);
    state.m = m;
    state.v = average(old, state.square, s.v_rate, s.v_from_target);
    s.m_coef * m
}

#[inline(always)]
pub(crate) fn ademamix(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let grad_avg = average(state.v_max, g, s.slow_rate, 0);
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    state.m = m;
    state.v_max = grad_avg;
    state.v = v;
    (s.m_coef * m + s.g_coef * grad_avg) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn agrees(m: f32, g: f32) -> bool {
    (m > 0.0) & (g > 0.0) | (m < 0.0) & (g < 0.0)
}

#[inline(always)]
pub(crate) fn cautious(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let step = adam(s, state, g);
    if agrees(state.m, g) { step } else { 0.0 }
}

#[inline(always)]
pub(crate) fn schedule_free(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let z_minus_y = state.m;
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    let d = g / divisor(s, v + s.eps_root) + s.inner_decay * state.param;
    state.m = average(z_minus_y - s.m_gain * d, 0.0, s.newest_weight, 0);
    state.v = v;
    s.m_coef * d - s.newest_weight * z_minus_y
}

#[inline(always)]
pub(crate) fn lion(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let old = state.m;
    let m = average(old, g, s.v_rate, s.v_from_target);
    state.m = m;
    s.m_coef * sign_of(average(old, g, s.m_rate, s.m_from_target))
}

#[inline(always)]
pub(crate) fn rmsprop(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    state.v = v;
    (s.m_coef * g) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn rmsprop_momentum(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = average(state.v, state.square, s.v_rate, s.v_from_target);
    state.v = v;
    let u = g / divisor(s, v + s.eps_root);
    let m = average(state.m, s.m_gain * u, s.m_rate, s.m_from_target);
    state.m = m;
    s.m_coef * m + s.g_coef * u
}

#[inline(always)]
pub(crate) fn rmsprop_centered(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let before = state.v_max;
    let grad_avg = average(before, g, s.v_rate, s.v_from_target);
    let v = average(state.v, squarable(g - before) * squarable(g - grad_avg), s.v_rate, s.v_from_target);
    state.v_max = grad_avg;
    state.v = v;
    (s.m_coef * g) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn rmsprop_centered_momentum(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let before = state.v_max;
    let grad_avg = average(before, g, s.v_rate, s.v_from_target);
    let v = average(state.v, squarable(g - before) * squarable(g - grad_avg), s.v_rate, s.v_from_target);
    state.v_max = grad_avg;
    state.v = v;
    let u = g / divisor(s, v + s.eps_root);
    let m = average(state.m, s.m_gain * u, s.m_rate, s.m_from_target);
    state.m = m;
    s.m_coef * m + s.g_coef * u
}

#[inline(always)]
pub(crate) fn adagrad(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = within_bf16(state.v + state.square);
    state.v = v;
    (s.m_coef * g) / divisor(s, v + s.eps_root)
}

#[inline(always)]
pub(crate) fn momentum(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, s.m_gain * g, s.m_rate, s.m_from_target);
    state.m = m;
    s.m_coef * m + s.g_coef * g
}

#[inline(always)]
pub(crate) fn sgd(s: &Scalars, _state: &mut State, g: f32) -> f32 {
    s.m_coef * g
}

#[inline(always)]
fn sign_of(x: f32) -> f32 {
    let bits = x.to_bits();
    let ordinary = (bits & 0x7fff_ffff).wrapping_sub(1) < 0x7f80_0000;
    if ordinary { f32::from_bits((bits & 0x8000_0000) | 0x3f80_0000) } else { x }
}
