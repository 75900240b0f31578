//! The optimizer in a browser: a suite of tests that a page runs.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {}
