//! The page.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {}
