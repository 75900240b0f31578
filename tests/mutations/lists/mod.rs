//! The mutations, grouped by the folders of the shaders.

mod access;
mod compose;
mod insight;
mod norm;
mod num;
mod region;
mod rows;
mod rules;
mod tick;
mod update;

use crate::scene::Gpu;
use crate::{Shader, must_be_noticed};

/// All mutations except those of denormal handling.
pub fn all() -> impl Iterator<Item = &'static Shader> {
    let lists = [
        access::SHADERS,
        compose::SHADERS,
        insight::SHADERS,
        norm::SHADERS,
        num::SHADERS,
        region::SHADERS,
        rows::SHADERS,
        rules::SHADERS,
        tick::SHADERS,
        update::SHADERS,
    ];
    lists.into_iter().flatten()
}

#[test]
fn a_changed_token_of_access_is_noticed() {
    must_be_noticed(access::SHADERS);
}

#[test]
fn a_changed_token_of_compose_is_noticed() {
    must_be_noticed(compose::SHADERS);
}

#[test]
fn a_changed_token_of_insight_is_noticed() {
    must_be_noticed(insight::SHADERS);
}

#[test]
fn a_changed_token_of_norm_is_noticed() {
    must_be_noticed(norm::SHADERS);
}

#[test]
fn a_changed_token_of_num_is_noticed() {
    must_be_noticed(num::SHADERS);
}

#[test]
fn a_changed_token_of_region_is_noticed() {
    must_be_noticed(region::SHADERS);
}

#[test]
fn a_changed_token_of_rows_is_noticed() {
    must_be_noticed(rows::SHADERS);
}

#[test]
fn a_changed_token_of_rules_is_noticed() {
    must_be_noticed(rules::SHADERS);
}

#[test]
fn a_changed_token_of_tick_is_noticed() {
    must_be_noticed(tick::SHADERS);
}

#[test]
fn a_changed_token_of_update_is_noticed() {
    must_be_noticed(update::SHADERS);
}

#[test]
fn a_changed_token_of_denormal_handling_is_noticed() {
    let flushes = Gpu::new().flushes;
    println!(
        "this device {}",
        if flushes {
            "flushes denormal numbers to zero, so the mutations have no effect"
        } else {
            "keeps denormal numbers"
        }
    );
    must_be_noticed(if flushes { &[] } else { tick::DENORMALS });
}
