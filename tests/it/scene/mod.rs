//! Scenes: a layout of tensors in buffers that runs on the GPU and on the twin side by side.
//!
//! A GPU test that finds no adapter fails. It is never skipped silently.

use wgpu_adam::state::TensorState;

mod device;
// The suite for browsers uses the scenes too, with a device of its own that is never waited for.
#[cfg_attr(target_arch = "wasm32", path = "../../../web/suite/src/gpu.rs")]
mod gpu;
mod layout;
#[cfg(not(target_arch = "wasm32"))]
mod native;
pub mod precisions;
#[cfg(not(target_arch = "wasm32"))]
pub mod rows;
mod run;
mod stored;
#[path = "../../../examples/compare/tolerance.rs"]
pub mod tolerance;
pub mod variants;

pub use gpu::Gpu;
pub use layout::{Scene, Spot};
pub use run::Run;
pub use stored::{Numbers, normals};

/// m, v and v_max. A moment that the variant lacks is empty.
pub fn moments(tensor: &TensorState) -> [Vec<f32>; 3] {
    [tensor.m(), tensor.v(), tensor.v_max()]
}

fn differing(what: &str, got: &[Vec<f32>], want: &[Vec<f32>]) -> Option<String> {
    for (buffer, (got, want)) in got.iter().zip(want).enumerate() {
        if let Some(i) = (0..want.len()).find(|&i| got[i].to_bits() != want[i].to_bits()) {
            return Some(format!("{what} buffer {buffer} [{i}]: {:e} for {:e}", got[i], want[i]));
        }
    }
    None
}

pub fn assert_same(got: &[f32], want: &[f32], what: &str) {
    if let Some(difference) = differing(what, &[got.to_vec()], &[want.to_vec()]) {
        panic!("{difference}");
    }
}

/// The finalizer of SplitMix64.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// An approximately normal number that depends on three numbers. It is a sum of four uniform ones.
pub fn normal(seed: u64, stream: u64, index: u64) -> f32 {
    let bits = mix(mix(mix(seed) ^ stream) ^ index);
    let uniform = |k: u32| ((bits >> (16 * k)) & 0xffff) as f32 / 65536.0 - 0.5;
    (uniform(0) + uniform(1) + uniform(2) + uniform(3)) * 1.732
}
