//! Tensors that share one configuration, on the GPU and on the CPU alike.

use crate::config::hyperparameters::Config;
use crate::config::options::{GroupClip, Options};
use crate::config::precision::Precision;
use crate::config::schedule::Schedule;
use crate::config::tensor::Tensor;
use crate::error::Error;

/// Tensors that share one [`Config`] and one [`Schedule`].
///
/// `Group` holds tensors of an optimizer on the GPU, and [`cpu::Group`](crate::cpu::Group) tensors of one on the CPU.
///
/// ```
/// use wgpu_adam::{Config, Decay, Schedule, cpu};
/// let config = Config { decay: Decay::Decoupled(0.01), ..Config::default() };
/// let schedule = Schedule::Cosine { from: 1.0, to: 0.0, steps: 1000 };
/// let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", 64)]).with_schedule(schedule);
/// assert_eq!(group.lr(501), 0.5e-3);
/// ```
///
/// # Beside Muon
///
/// Muon steps the matrices of hidden layers, by products of matrices, and is not a part of this crate. It needs Adam for all
/// other parameters: embeddings, the output layer, biases and norms. So give these to this crate, in two groups, and record
/// your Muon kernels for the matrices into the same encoder. With Muon's update scaled by `0.2*sqrt(max(rows, columns))`,
/// one learning rate and one weight decay serve both (Liu et al. 2025, "Muon is Scalable for LLM Training", Section 2.2,
/// arXiv:2502.16982).
///
/// ```
/// use wgpu_adam::{Config, Decay, Options, cpu};
/// // The shape of a parameter: one number for a vector.
/// let params = [("embed", vec![256, 64]), ("block.w", vec![64, 64]), ("block.norm", vec![64]), ("head", vec![64, 256])];
/// let is_hidden = |name: &str| name.starts_with("block");
/// let (matrices, others): (Vec<_>, Vec<_>) = params.iter().partition(|(name, shape)| shape.len() == 2 && is_hidden(name));
/// assert_eq!(matrices, [&("block.w", vec![64, 64])]); // Muon's
/// let (decayed, vectors): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, shape)| shape.len() == 2);
/// let tensors = |params: Vec<&(&str, Vec<usize>)>| {
///     params.into_iter().map(|(name, shape)| cpu::Tensor::new(*name, shape.iter().product())).collect()
/// };
/// let config = |decay| Config { lr: 3e-4, beta2: 0.95, decay, ..Config::default() };
/// let groups = [
///     cpu::Group::new(config(Decay::Decoupled(0.1)), tensors(decayed)), // embed and head
///     cpu::Group::new(config(Decay::None), tensors(vectors)),           // block.norm
/// ];
/// let adam = cpu::Adam::new(&groups, Options::default())?;
/// assert_eq!(adam.groups().len(), 2);
/// # Ok::<(), wgpu_adam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group<T = Tensor> {
    /// The hyperparameters. Default: [`Config::default`].
    pub config: Config,
    /// The tensors. Their order does not affect how the GPU merges them into dispatches. Default: none.
    pub tensors: Vec<T>,
    /// The course of the learning rate over the group's steps. Default: constant.
    pub schedule: Schedule,
    /// The precision of the group's state and parameters, with a seed of its own. Default: `None`, which means
    /// [`Options::precision`]. It is fixed when the group is made: a state that is loaded must have the same formats.
    pub precision: Option<Precision>,
    /// Clipping by the norm of the group, or of each of its tensors. It is fixed when the group is made, and is not part
    /// of a state. Default: none.
    pub clip: Option<GroupClip>,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self {
            config: Config::default(),
            tensors: Vec::new(),
            schedule: Schedule::default(),
            precision: None,
            clip: None,
        }
    }
}

impl<T> Group<T> {
    /// Creates a group with a constant learning rate.
    pub fn new(config: Config, tensors: Vec<T>) -> Self {
        Self { config, tensors, ..Self::default() }
    }

    /// Sets the schedule.
    #[must_use]
    pub fn with_schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Sets the precision of the group's state and parameters. Embeddings, for example, can stay in f32 beside 8-bit
    /// moments elsewhere:
    ///
    /// ```
    /// use wgpu_adam::precision::StateDtype;
    /// use wgpu_adam::{Config, Options, Precision, cpu};
    /// let embedding = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("embedding", 8192)])
    ///     .with_precision(Precision::default());
    /// let rest = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("weight", 8192)]);
    /// let precision = Precision { state: StateDtype::Block8, ..Precision::default() };
    /// let adam = cpu::Adam::new(&[embedding, rest], Options { precision, ..Options::default() })?;
    /// let bytes: Vec<usize> = adam.state().tensors.iter().map(|tensor| tensor.state[0].bytes.len()).collect();
    /// assert_eq!(bytes, [4 * 8192, 8192]);
    /// # Ok::<(), wgpu_adam::Error>(())
    /// ```
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision: Some(precision), ..self }
    }

    /// Sets the clipping by the norm of the group or of each tensor, beside the clipping of all groups.
    ///
    /// ```
    /// use wgpu_adam::{Clip, Config, GroupClip, Options, cpu};
    /// let group = |name| cpu::Group::new(Config::default(), vec![cpu::Tensor::new(name, 64)]);
    /// let groups = [group("body").with_clip(GroupClip::Tensor(1.0)), group("head")];
    /// let adam = cpu::Adam::new(&groups, Options { clip: Clip::GlobalNorm(5.0), ..Options::default() })?;
    /// # Ok::<(), wgpu_adam::Error>(())
    /// ```
    #[must_use]
    pub fn with_clip(self, clip: GroupClip) -> Self {
        Self { clip: Some(clip), ..self }
    }

    /// The precision of its tensors.
    pub(crate) fn precision_in<'a>(&'a self, options: &'a Options) -> &'a Precision {
        self.precision.as_ref().unwrap_or(&options.precision)
    }

    /// Returns the learning rate of step `t`, counted from 1: `config.lr * schedule.factor(t)`.
    pub fn lr(&self, t: u32) -> f64 {
        self.config.lr * self.schedule.factor(t)
    }

    /// Checks that `config` can replace the group's configuration in mid-run.
    pub(crate) fn check_config(&self, number: usize, config: &Config) -> Result<(), Error> {
        self.config.check_change(number, config)?;
        config.validate(number)?;
        self.schedule.check_lr(number, config.lr)
    }

    /// Checks that `schedule` can replace the group's schedule in mid-run.
    pub(crate) fn check_schedule(&self, number: usize, schedule: &Schedule) -> Result<(), Error> {
        schedule.validate(number)?;
        schedule.check_lr(number, self.config.lr)
    }

    pub(crate) fn validate(&self, number: usize) -> Result<(), Error> {
        self.config.validate(number)?;
        self.precision.as_ref().map_or(Ok(()), |precision| precision.validate(Some(number)))?;
        if let Some(given) = self.clip.map(GroupClip::max_norm).filter(|max| !(*max > 0.0 && (*max as f32).is_finite()))
        {
            return Err(Error::Config { group: number, field: "clip", given, need: "finite and above 0" });
        }
        self.schedule.validate(number)?;
        self.schedule.check_lr(number, self.config.lr)
    }
}
