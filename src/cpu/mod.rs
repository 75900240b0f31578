//! Optimizers on the CPU: the same configuration and the same arithmetic as on the GPU, on slices.
//!
//! [`cpu::Adam`](Adam) serves as a fallback without a GPU, and as the reference in tests. On a CPU adapter the GPU
//! optimizer gives the same bits. Elsewhere the difference is within the accuracy that WGSL requires of divisions and
//! square roots.
//!
//! A step uses all threads of rayon's global pool. The result does not depend on their number.
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
pub(crate) mod gather;
pub(crate) mod global_norm;
pub(crate) mod gradient;
pub(crate) mod insight;
pub(crate) mod loss_scale;
pub(crate) mod modes;
pub(crate) mod moments;
pub(crate) mod norm;
pub(crate) mod records;
pub(crate) mod rescale;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod setters;
pub(crate) mod shared_norm;
pub(crate) mod state_io;
pub(crate) mod storage;
pub(crate) mod tensor;
pub(crate) mod tensor_mut;
pub(crate) mod tick;
pub(crate) mod unit_norm;
pub(crate) mod update;

pub use adam::Adam;
pub use tensor::{Group, Tensor};
pub use tensor_mut::{RowInputs, TensorMut, Values};
