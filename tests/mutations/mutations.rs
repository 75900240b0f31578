//! Changes one token of a shader at a time. A scene that compares GPU and twin must notice.
//!
//! `run.sh` runs these tests in a copy of the crate, in which [`wgpu_adam::mutate`] changes the sources.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use scene::Gpu;
use wgpu_adam::mutate;

mod lists;
#[allow(dead_code, unused_imports, reason = "only the integration tests use all of it")]
#[path = "../it/scene/mod.rs"]
mod scene;
mod scenes;

/// The mutations of one shader.
struct Shader {
    /// The path of its file, in `shaders/` or `src/`.
    file: &'static str,
    mutations: &'static [Mutation],
}

/// The text to replace, its replacement, and the name of the scene that notices.
type Mutation = (&'static str, &'static str, &'static str);

/// The device of all tests.
static GPU: LazyLock<Gpu> = LazyLock::new(Gpu::new);

/// Asserts that each mutation is noticed by its scene, and that each scene finds no difference with unchanged shaders.
fn must_be_noticed(shaders: &[Shader]) {
    let mut failures = Vec::new();
    for shader in shaders {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(shader.file).exists(), "there is no {}", shader.file);
        for (from, to, name) in shader.mutations {
            let difference = scenes::find(name);
            assert_equal_unchanged(name, difference);
            let mutation = format!("{}: `{from}` to `{to}`", shader.file);
            match mutate::with(from, to, || difference(&GPU)) {
                (Some(difference), true) => println!("{mutation}: {difference}"),
                (None, true) => failures.push(format!("{mutation} is not noticed by scene {name}")),
                (_, false) => failures.push(format!("{mutation} does not occur in any shader of scene {name}")),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Asserts that GPU and twin agree with unchanged shaders. Each scene runs once.
fn assert_equal_unchanged(name: &'static str, difference: scenes::Difference) {
    static FOUND: Mutex<BTreeMap<&str, Option<String>>> = Mutex::new(BTreeMap::new());
    let found = FOUND.lock().unwrap().get(name).cloned();
    let found = found.unwrap_or_else(|| difference(&GPU));
    FOUND.lock().unwrap().insert(name, found.clone());
    assert_eq!(found, None, "{name}, unchanged");
}

/// Finds the scene for a mutation that is new, or that its scene no longer notices.
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
            // Tries the scene in the list first.
            let known = scenes::all().filter(|(name, _)| name == known);
            let name = known.chain(scenes::all()).find(|(_, difference)| notices(*difference)).map(|(name, _)| name);
            println!("{}: {from:?}, {to:?}: {name:?}, applied: {applied}", shader.file);
        }
    }
}
