//! The rates with which projects train 3D Gaussians. The README of the example `splats` shows rows of Gaussians at work.
//!
//! Each attribute is a tensor in a group of its own, or some columns of one tensor of [rows](crate::rows).
//!
//! ```
//! use wgpu_adam::preset::splats::gsplat;
//! use wgpu_adam::rows::{RowSteps, Rows};
//! use wgpu_adam::{Options, cpu};
//! let splats = gsplat().scaled(2.5); // the extent of the scene
//! let rows = |name, width, count: usize| {
//!     cpu::Tensor::new(name, width as usize * count).with_rows(Rows { steps: RowSteps::PerRow, ..Rows::new(width) })
//! };
//! let groups = [
//!     cpu::Group::new(splats.config(splats.mean), vec![rows("means", 3, 1000)]).with_schedule(splats.mean_schedule.clone()),
//!     cpu::Group::new(splats.config(splats.opacity), vec![rows("opacities", 1, 1000)]),
//! ];
//! let adam = cpu::Adam::new(&groups, Options::default())?;
//! assert_eq!(adam.groups()[0].lr(1), 2.5 * 1.6e-4);
//! # Ok::<(), wgpu_adam::Error>(())
//! ```

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;

/// The learning rates of the attributes of 3D Gaussians.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Splats {
    /// Of positions, at the first step.
    pub mean: f64,
    /// The decay of the rate of positions.
    pub mean_schedule: Schedule,
    /// Of the logarithms of scales.
    pub scale: f64,
    /// Of quaternions.
    pub rotation: f64,
    /// Of opacities before the sigmoid.
    pub opacity: f64,
    /// Of the colours: the spherical harmonics of degree 0.
    pub sh_dc: f64,
    /// Of the spherical harmonics of higher degrees.
    pub sh_rest: f64,
    /// Betas and eps of all attributes. Its `lr` has no meaning.
    pub base: Config,
}

/// The configuration of all three: betas 0.9 and 0.999, eps 1e-15.
fn base() -> Config {
    Config { eps: 1e-15, ..Config::default() }
}

/// Decays to a hundredth in 30,000 steps.
fn to_a_hundredth() -> Schedule {
    Schedule::Exponential { rate: 0.01, every: 30_000 }
}

/// The reference implementation of Kerbl et al. 2023, "3D Gaussian Splatting": `arguments/__init__.py`. The rate of scales
/// is 5e-3. Positions are scaled by the extent of the scene: see [`Splats::scaled`].
pub fn inria() -> Splats {
    Splats {
        mean: 1.6e-4,
        mean_schedule: to_a_hundredth(),
        scale: 5e-3,
        rotation: 1e-3,
        opacity: 5e-2,
        sh_dc: 2.5e-3,
        sh_rest: 2.5e-3 / 20.0,
        base: base(),
    }
}

/// gsplat's `examples/simple_trainer.py`, for batches of one image: see [`Splats::batch`]. Positions are scaled by the extent
/// of the scene: see [`Splats::scaled`].
pub fn gsplat() -> Splats {
    inria()
}

/// brush's `brush-train`. Positions are scaled by the median scale of the splats: see [`Splats::scaled`]. brush keeps one
/// second moment per row of spherical harmonics: [`SecondMoment::RowMean`](crate::rows::SecondMoment::RowMean).
pub fn brush() -> Splats {
    Splats {
        mean: 2e-5,
        mean_schedule: to_a_hundredth(),
        scale: 5e-3,
        rotation: 2e-3,
        opacity: 0.012,
        sh_dc: 2e-3,
        sh_rest: 2e-3 / 10.0,
        base: base(),
    }
}

impl Splats {
    /// The configuration of an attribute with this rate.
    pub fn config(&self, lr: f64) -> Config {
        Config { lr, ..self.base.clone() }
    }

    /// The rates for a scene of another size: only that of positions is multiplied.
    #[must_use]
    pub fn scaled(self, extent: f64) -> Self {
        Self { mean: self.mean * extent, ..self }
    }

    /// gsplat's rates for batches of `images`: rates are multiplied by the root of their number and `eps` is divided by it,
    /// and a beta becomes `1 - images*(1 - beta)`, or 0 if that is negative. Source: Malladi et al. 2022, "On the SDEs and
    /// Scaling Rules for Adaptive Gradient Algorithms".
    #[must_use]
    pub fn batch(self, images: u32) -> Self {
        let (images, root) = (f64::from(images), f64::from(images).sqrt());
        let beta = |beta: f64| (1.0 - images * (1.0 - beta)).max(0.0);
        let Config { beta1, beta2, eps, .. } = self.base;
        Self {
            mean: self.mean * root,
            scale: self.scale * root,
            rotation: self.rotation * root,
            opacity: self.opacity * root,
            sh_dc: self.sh_dc * root,
            sh_rest: self.sh_rest * root,
            base: Config { beta1: beta(beta1), beta2: beta(beta2), eps: eps / root, ..self.base },
            ..self
        }
    }

    /// The factors of the columns of a tensor of transforms at step `t`, counted from 1: three of the position, four of the
    /// rotation and three of the scale, as brush has them. Its group has the rate 1. Set them in each step:
    /// [`Adam::set_column_lr`](crate::Adam::set_column_lr).
    pub fn transforms(&self, t: u32) -> Vec<f64> {
        let mean = self.mean * self.mean_schedule.factor(t);
        [vec![mean; 3], vec![self.rotation; 4], vec![self.scale; 3]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_batches_and_transforms() {
        let four = gsplat().batch(4);
        assert_eq!((four.mean, four.base.eps), (3.2e-4, 0.5e-15));
        assert!((four.base.beta1 - 0.6).abs() < 1e-12 && (four.base.beta2 - 0.996).abs() < 1e-12);
        assert_eq!(gsplat().batch(20).base.beta1, 0.0);
        let last = brush().scaled(3.0).transforms(30_001);
        assert!((last[2] - 6e-7).abs() < 1e-18, "{}", last[2]);
        assert_eq!((last.len(), last[3], last[9]), (10, 2e-3, 5e-3));
    }
}
