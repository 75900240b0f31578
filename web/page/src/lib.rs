//! The program of the page: a network that learns digits, a race of rules, the fit of a picture, and a benchmark, on the
//! device of the visitor.
//!
//! | file | what is in it |
//! |---|---|
//! | `device.rs` | the GPU of the visitor |
//! | `settings.rs` | what the controls say, as types of the library |
//! | `digits.rs` | the training, as the page calls it: runs, changes, checks, files |
//! | `gpu.rs`, `cpu.rs` | the network and the optimizer on the GPU, and without one |
//! | `check.rs` | whether GPU and CPU agree about a step |
//! | `file.rs` | a training as a file |
//! | `product.rs` | products of small matrices, where the example has some for large ones |
//! | `race.rs` | points of several rules that descend a landscape |
//! | `splats.rs` | a picture that is fitted by Gaussians |
//! | `canvas.rs` | what the race and the fit draw on |
//! | `bench.rs` | the time and the memory of a step |
//!
//! The data, the network and its WGSL are those of `examples/train`. The Gaussians are those of `examples/splats`.

mod bench;
mod canvas;
mod check;
mod cpu;
mod device;
mod digits;
mod file;
mod gpu;
mod product;
mod race;
mod settings;
mod splats;

#[path = "../../../examples/train/data.rs"]
#[allow(dead_code, reason = "the page prints no title")]
mod data;
#[path = "../../../examples/train/idx.rs"]
#[allow(dead_code, reason = "the page reads no other data")]
mod idx;
#[path = "../../../examples/train/kernel.rs"]
mod kernel;
#[path = "../../../examples/train/matrix.rs"]
#[allow(dead_code, reason = "one network trains here, without softplus")]
mod matrix;
#[path = "../../../examples/train/minibatch.rs"]
mod minibatch;
#[path = "../../../examples/train/network.rs"]
mod network;
#[path = "../../../examples/train/passes.rs"]
mod passes;
#[path = "../../../examples/train/random.rs"]
mod random;
#[path = "../../../examples/train/resident.rs"]
#[allow(dead_code, reason = "the page counts its minibatches itself")]
mod resident;
#[path = "../../../examples/compare/tolerance.rs"]
mod tolerance;

use wasm_bindgen::prelude::*;

/// An error is thrown in JavaScript as an `Error` with that message.
type Result<T> = std::result::Result<T, JsError>;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}
