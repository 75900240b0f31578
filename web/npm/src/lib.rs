//! The half of the package that is in wasm. `static/index.js` is the other half and the only caller: it gives plain data
//! as JSON, with the names of Rust.

mod arena;
mod gpu;
mod json;
mod object;
mod optimizer;
mod specs;

use half::{bf16, f16};
use wasm_bindgen::prelude::wasm_bindgen;

/// A panic is a bug, in wgpu most likely. It becomes a JavaScript error with its message.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| wasm_bindgen::throw_str(&panic.to_string())));
}

/// Rounds to 16 bits, to nearest. The result has an even length, since writes to a buffer move whole units of 4 bytes.
#[wasm_bindgen]
pub fn narrow(values: &[f32], is_bf16: bool) -> Vec<u16> {
    let round = |&value: &f32| if is_bf16 { bf16::from_f32(value).to_bits() } else { f16::from_f32(value).to_bits() };
    let padding = (values.len() % 2 == 1).then_some(0);
    values.iter().map(round).chain(padding).collect()
}

/// The 32-bit floats that 16 bits stand for.
#[wasm_bindgen]
pub fn widen(bits: &[u16], is_bf16: bool) -> Vec<f32> {
    let value = |&bits: &u16| if is_bf16 { bf16::from_bits(bits).to_f32() } else { f16::from_bits(bits).to_f32() };
    bits.iter().map(value).collect()
}
