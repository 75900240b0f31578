//! The package for JavaScript.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {}
