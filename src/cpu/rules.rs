//! The rules. Twin of `shaders/rules/*.wgsl`: each function has the name of a file there. A rule writes the new state
//! and returns the step.

use crate::config::rule::Rule;
use crate::cpu::gradient::{average, larger};
use crate::tick::scalars::Scalars;

/// The state of one element. A moment that a rule does not keep is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub m: f32,
    pub v: f32,
    pub v_max: f32,
}

/// Returns the function of a rule.
pub(crate) fn of(rule: Rule) -> fn(&Scalars, &mut State, f32) -> f32 {
    match rule {
        Rule::Adam => adam,
        Rule::AmsGrad => amsgrad,
        Rule::AdaMax => adamax,
        Rule::NAdam => nadam,
        Rule::AdaBelief => adabelief,
        Rule::Lion => lion,
        Rule::RmsProp => rmsprop,
        Rule::RmsPropMomentum => rmsprop_momentum,
        Rule::AdaGrad => adagrad,
        Rule::Momentum => momentum,
        Rule::Sgd => sgd,
    }
}

#[inline(always)]
pub(crate) fn adam(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = average(state.v, g * g, s.v_rate, s.v_from_target);
    state.m = m;
    state.v = v;
    (s.m_coef * m) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps)
}

#[inline(always)]
pub(crate) fn amsgrad(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let v = average(state.v, g * g, s.v_rate, s.v_from_target);
    let v_max = larger(state.v_max, v * s.max_coef);
    state.m = m;
    state.v = v;
    state.v_max = v_max;
    (s.m_coef * m) / ((v_max + s.eps_root).sqrt() * s.v_coef + s.eps)
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
    let v = average(state.v, g * g, s.v_rate, s.v_from_target);
    state.m = m;
    state.v = v;
    (s.m_coef * m + s.g_coef * g) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps)
}

#[inline(always)]
pub(crate) fn adabelief(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let m = average(state.m, g, s.m_rate, s.m_from_target);
    let surprise = g - m;
    let v = average(state.v, surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    state.m = m;
    state.v = v;
    (s.m_coef * m) / (v.sqrt() * s.v_coef + s.eps)
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
    let v = average(state.v, g * g, s.v_rate, s.v_from_target);
    state.v = v;
    (s.m_coef * g) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps)
}

#[inline(always)]
pub(crate) fn rmsprop_momentum(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = average(state.v, g * g, s.v_rate, s.v_from_target);
    state.v = v;
    let u = g / ((v + s.eps_root).sqrt() * s.v_coef + s.eps);
    let m = average(state.m, s.m_gain * u, s.m_rate, s.m_from_target);
    state.m = m;
    s.m_coef * m + s.g_coef * u
}

#[inline(always)]
pub(crate) fn adagrad(s: &Scalars, state: &mut State, g: f32) -> f32 {
    let v = state.v + g * g;
    state.v = v;
    (s.m_coef * g) / ((v + s.eps_root).sqrt() + s.eps)
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
