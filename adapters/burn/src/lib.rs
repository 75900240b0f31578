//! Steps the parameters of [burn](https://burn.dev) modules with [`wgpu_adam`], in place in burn's own buffers.
//!
//! ```no_run
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//! use wgpu_adam_burn::AdamWConfig;
//!
//! # fn train(batches: Vec<Tensor<2>>) -> Result<Linear, Box<dyn std::error::Error>> {
//! let (device, setup) = Device::wgpu_options().init_with_setup()?;
//! let mut model = LinearConfig::new(784, 10).init(&device.autodiff());
//! let mut optimizer = AdamWConfig::new().with_weight_decay(0.01).init(&setup, &model)?;
//! for batch in batches {
//!     let loss = model.forward(batch).mean();
//!     let grads = GradientsParams::from_grads(loss.backward(), &model);
//!     model = optimizer.step(1e-3, model, grads)?;
//! }
//! # Ok(model)
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | take AdamW with burn's names and defaults | [`AdamWConfig`] |
//! | take any other rule, groups, clipping, a guard, schedules, narrow moments | [`Optimizer::new`] with [`wgpu_adam::Group`]s and [`wgpu_adam::Options`] |
//! | see what a step did | [`Optimizer::adam`] and its `read_report`; [`Optimizer::measure_next`] |
//! | save and resume | [`Optimizer::read_record`], [`Optimizer::load_record`], or `read_state` of [`Optimizer::adam`] |
//!
//! # How a step works
//!
//! With burn's feature `fusion`, the step is an operation in burn's own queue. It goes in where it is called: operations that
//! were queued before it read the old parameters, and those queued after it the new ones. When the queue comes to it, it
//! looks up where parameters and gradients are, and submits one command buffer. Nothing waits for the device. Without fusion,
//! the same happens at once.
//!
//! A parameter is stepped in place if only the module has it. If somebody else has it too (a clone, `valid()`, an exponential
//! average, a graph whose backward pass is still to come), the module gets a copy that is stepped, and the others keep their
//! values, as with burn's own optimizers.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod config;
mod core;
mod error;
mod optimizer;
mod params;
mod place;
mod queue;
mod record;

pub use config::AdamWConfig;
pub use error::{Error, Refused};
pub use optimizer::{AdamGuard, Optimizer};
pub use wgpu_adam;
