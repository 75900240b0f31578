//! The mutations, by the folder of the shaders.

mod access;
mod compose;
mod insight;
mod norm;
mod num;
mod region;
mod rules;
mod tick;
mod update;

use crate::scene::Gpu;
use crate::{Shader, must_be_noticed};

/// All but those of denormal numbers.
pub fn all() -> impl Iterator<Item = &'static Shader> {
    let lists = [
        access::SHADERS,
        compose::SHADERS,
        insight::SHADERS,
        norm::SHADERS,
        num::SHADERS,
        region::SHADERS,
        rules::SHADERS,
        tick::SHADERS,
        update::SHADERS,
    ];
    lists.into_iter().flatten()
}

#[test]
fn one_token_of_access_changed_is_noticed() {
    must_be_noticed(access::SHADERS);
}

#[test]
fn one_token_of_compose_changed_is_noticed() {
    must_be_noticed(compose::SHADERS);
}

#[test]
fn one_token_of_insight_changed_is_noticed() {
    must_be_noticed(insight::SHADERS);
}

#[test]
fn one_token_of_norm_changed_is_noticed() {
    must_be_noticed(norm::SHADERS);
}

#[test]
fn one_token_of_num_changed_is_noticed() {
    must_be_noticed(num::SHADERS);
}

#[test]
fn one_token_of_region_changed_is_noticed() {
    must_be_noticed(region::SHADERS);
}

#[test]
fn one_token_of_rules_changed_is_noticed() {
    must_be_noticed(rules::SHADERS);
}

#[test]
fn one_token_of_tick_changed_is_noticed() {
    must_be_noticed(tick::SHADERS);
}

#[test]
fn one_token_of_update_changed_is_noticed() {
    must_be_noticed(update::SHADERS);
}

#[test]
fn one_token_of_what_is_below_all_normal_numbers_changed_is_noticed() {
    let flushes = Gpu::new().flushes;
    println!("this device {}", if flushes { "takes them for zero, changed or not" } else { "keeps them" });
    must_be_noticed(if flushes { &[] } else { tick::DENORMALS });
}
