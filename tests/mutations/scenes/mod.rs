//! The scenes by name. Each returns the first difference between GPU and twin, if any.

use crate::scene::Gpu;

mod dtypes;
mod measured;
mod rows;
mod schedules;
mod steps;

pub type Difference = fn(&Gpu) -> Option<String>;

/// All scenes.
pub fn all() -> impl Iterator<Item = (&'static str, Difference)> {
    [steps::SCENES, dtypes::SCENES, schedules::SCENES, measured::SCENES, rows::SCENES].into_iter().flatten().copied()
}

pub fn find(name: &str) -> Difference {
    all().find(|scene| scene.0 == name).unwrap_or_else(|| panic!("there is no scene {name}")).1
}
