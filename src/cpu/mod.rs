//! The CPU twin: the same configuration, the same order of operations, the same bits.
//!
//! It serves where there is no adapter, and as the reference in tests. Its files have the names of the shaders, and each
//! function has the name, the arguments and the order of the WGSL beside which it stands. It runs on all threads of
//! rayon's pool, and the result does not depend on their number.
//!
//! ```
//! use wgpu_adam::{Config, Options, cpu};
//! let group = cpu::Group::new(Config { lr: 0.1, ..Config::default() }, vec![cpu::Tensor::new("w", 2)]);
//! let mut adam = cpu::Adam::new(&[group], Options::default())?;
//! let mut w = [1.0, -2.0];
//! for _ in 0..200 {
//!     let mut grad = w.map(|w| 2.0 * w); // of w*w
//!     adam.step(&mut [cpu::TensorMut::new(&mut w, &mut grad)])?;
//! }
//! assert!(w.iter().all(|w| w.abs() < 1e-2));
//! # Ok::<(), wgpu_adam::Error>(())
//! ```

pub(crate) mod adam;
pub(crate) mod edit;
pub(crate) mod gradient;
pub(crate) mod insight;
pub(crate) mod loss_scale;
pub(crate) mod moments;
pub(crate) mod norm;
pub(crate) mod records;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod setters;
pub(crate) mod state_io;
pub(crate) mod storage;
pub(crate) mod tensor;
pub(crate) mod tensor_mut;
pub(crate) mod tick;
pub(crate) mod update;

pub use adam::Adam;
pub use tensor::{Group, Tensor};
pub use tensor_mut::{TensorMut, Values};
