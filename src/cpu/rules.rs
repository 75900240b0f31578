//! The rules: twin of `shaders/rules/*.wgsl`, a function a file, of the file's name.

use crate::config::rule::Rule;
use crate::cpu::step::{average, larger, moved};
use crate::tick::scalars::Scalars;

/// One element: its param and what is remembered of it. What a rule does not remember is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub param: f32,
    pub m: f32,
    pub v: f32,
    pub v_max: f32,
}

/// The function of a rule.
pub(crate) fn of(rule: Rule) -> fn(&Scalars, State, f32) -> State {
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
        Rule::Plain => plain,
    }
}

#[inline(always)]
pub(crate) fn adam(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps);
    State { param: moved(s, old.param, step), m, v, ..old }
}

#[inline(always)]
pub(crate) fn amsgrad(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let v_max = larger(old.v_max, v * s.max_coef);
    let step = (s.m_coef * m) / ((v_max + s.eps_root).sqrt() * s.v_coef + s.eps);
    State { param: moved(s, old.param, step), m, v, v_max }
}

#[inline(always)]
pub(crate) fn adamax(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = larger(s.adamax_beta2 * old.v, g.abs() + s.eps);
    let step = (s.m_coef * m) / v;
    State { param: moved(s, old.param, step), m, v, ..old }
}

#[inline(always)]
pub(crate) fn nadam(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m + s.g_coef * g) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps);
    State { param: moved(s, old.param, step), m, v, ..old }
}

#[inline(always)]
pub(crate) fn adabelief(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, g, s.m_rate, s.m_from_target);
    let surprise = g - m;
    let v = average(old.v, surprise * surprise, s.v_rate, s.v_from_target) + s.eps_root;
    let step = (s.m_coef * m) / (v.sqrt() * s.v_coef + s.eps);
    State { param: moved(s, old.param, step), m, v, ..old }
}

#[inline(always)]
pub(crate) fn lion(s: &Scalars, old: State, g: f32) -> State {
    let step = s.m_coef * sign_of(average(old.m, g, s.m_rate, s.m_from_target));
    let m = average(old.m, g, s.v_rate, s.v_from_target);
    State { param: moved(s, old.param, step), m, ..old }
}

#[inline(always)]
pub(crate) fn rmsprop(s: &Scalars, old: State, g: f32) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * g) / ((v + s.eps_root).sqrt() * s.v_coef + s.eps);
    State { param: moved(s, old.param, step), v, ..old }
}

#[inline(always)]
pub(crate) fn rmsprop_momentum(s: &Scalars, old: State, g: f32) -> State {
    let v = average(old.v, g * g, s.v_rate, s.v_from_target);
    let u = g / ((v + s.eps_root).sqrt() * s.v_coef + s.eps);
    let m = average(old.m, s.m_gain * u, s.m_rate, s.m_from_target);
    let step = s.m_coef * m + s.g_coef * u;
    State { param: moved(s, old.param, step), m, v, ..old }
}

#[inline(always)]
pub(crate) fn adagrad(s: &Scalars, old: State, g: f32) -> State {
    let v = old.v + g * g;
    let step = (s.m_coef * g) / ((v + s.eps_root).sqrt() + s.eps);
    State { param: moved(s, old.param, step), v, ..old }
}

#[inline(always)]
pub(crate) fn momentum(s: &Scalars, old: State, g: f32) -> State {
    let m = average(old.m, s.m_gain * g, s.m_rate, s.m_from_target);
    let step = s.m_coef * m + s.g_coef * g;
    State { param: moved(s, old.param, step), m, ..old }
}

#[inline(always)]
pub(crate) fn plain(s: &Scalars, old: State, g: f32) -> State {
    State { param: moved(s, old.param, s.m_coef * g), ..old }
}

#[inline(always)]
fn sign_of(x: f32) -> f32 {
    let bits = x.to_bits();
    let ordinary = (bits & 0x7fff_ffff).wrapping_sub(1) < 0x7f80_0000;
    if ordinary { f32::from_bits((bits & 0x8000_0000) | 0x3f80_0000) } else { x }
}
