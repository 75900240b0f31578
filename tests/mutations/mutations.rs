//! One token of a shader is changed, and a scene that compares GPU and twin must notice.
//!
//! `run.sh` runs these tests in a copy of the crate, in which [`wgpu_adam::mutate`] changes what is compiled.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use scene::Gpu;
use wgpu_adam::mutate;

mod lists;
#[allow(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../it/scene/mod.rs"]
mod scene;
mod scenes;

/// Mutations of one shader.
struct Shader {
    /// Its file, under `shaders/` or `src/`.
    file: &'static str,
    mutations: &'static [Mutation],
}

/// What is replaced, by what, and the name of the scene that notices.
type Mutation = (&'static str, &'static str, &'static str);

/// The one device of all tests.
static GPU: LazyLock<Gpu> = LazyLock::new(Gpu::new);

/// Each mutation of a list in its scene; and each scene with unchanged shaders.
fn must_be_noticed(shaders: &[Shader]) {
    let mut failures = Vec::new();
    for shader in shaders {
        for (from, to, name) in shader.mutations {
            let difference = scenes::find(name);
            assert_equal_unchanged(name, difference);
            let mutation = format!("{}: `{from}` to `{to}`", shader.file);
            match mutate::with(from, to, || difference(&GPU)) {
                (Some(difference), true) => println!("{mutation}: {difference}"),
                (None, true) => failures.push(format!("{mutation} is not noticed by scene {name}")),
                (_, false) => failures.push(format!("{mutation} is in no shader of scene {name}")),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Once for each scene.
fn assert_equal_unchanged(name: &'static str, difference: scenes::Difference) {
    static FOUND: Mutex<BTreeMap<&str, Option<String>>> = Mutex::new(BTreeMap::new());
    let found = FOUND.lock().unwrap().get(name).cloned();
    let found = found.unwrap_or_else(|| difference(&GPU));
    FOUND.lock().unwrap().insert(name, found.clone());
    assert_eq!(found, None, "{name}, unchanged");
}

/// For a mutation that is new, or is no longer noticed where it was.
#[test]
#[ignore = "a tool: prints the first scene that notices each mutation"]
fn which_scene_notices() {
    scenes::all().for_each(|(name, difference)| assert_equal_unchanged(name, difference));
    for shader in lists::all() {
        for (from, to, known) in shader.mutations {
            let mut applied = false;
            let mut notices = |difference: scenes::Difference| {
                let (noticed, here) = mutate::with(from, to, || difference(&GPU));
                applied |= here;
                noticed.is_some()
            };
            // The scene of the list first.
            let known = scenes::all().filter(|(name, _)| name == known);
            let name = known.chain(scenes::all()).find(|(_, difference)| notices(*difference)).map(|(name, _)| name);
            println!("{}: {from:?}, {to:?}: {name:?}, applied: {applied}", shader.file);
        }
    }
}
