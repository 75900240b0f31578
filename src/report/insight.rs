//! What a measured step did to each tensor, in the paper's terms.

use crate::config::hyperparameters::Config;
use crate::report::records::{BINS, Finding};

/// What a [`Probe`](crate::Probe) measured in one step, tensor by tensor and in all.
///
/// It is measured on the device after the step is decided on (clipping, skipping, the scalars of the timestep) and before
/// anything is changed: the gradients are those that the step reads, so zeroing them in the step does not matter; `param` is
/// what the step finds; `m`, `v` and the step itself are what the rule makes of them.
/// Where formats are narrower than f32, all this is before the rounding to them.
///
/// In a skipped step nothing moves: only gradients and parameters have something to tell then.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Insight {
    /// Steps applied, the measured one included, by the clock that has counted most.
    pub t: u32,
    /// Whether the measured step was skipped.
    pub skipped: bool,
    /// All tensors together.
    pub all: Measures,
    /// In the order of the groups and their tensors.
    pub tensors: Vec<TensorMeasures>,
}

/// A tensor's part of an [`Insight`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorMeasures {
    /// The tensor's name.
    pub name: String,
    /// What was measured of it.
    pub measures: Measures,
}

/// What was measured of one tensor, or of all.
///
/// Sums of squares neither overflow nor underflow, whatever the magnitude. Subnormal numbers (below 2^-126) count as zero
/// in them, since some devices have none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measures {
    /// Elements.
    pub elements: u64,
    /// Gradients that are exactly zero.
    pub zero_grads: u64,
    /// Gradients that are NaN or infinite.
    pub nonfinite_grads: u64,
    /// The 2-norm of the finite gradients, before clipping; without the loss scale, where there is one.
    pub grad_norm: f64,
    /// Root mean square of the parameters before the step. NaN where one is not finite.
    pub param_rms: f64,
    /// Root mean square of what the step takes from the parameters, decoupled decay included. NaN where one is not finite,
    /// 0 in a skipped step.
    pub update_rms: f64,
    /// The effective step. `None` in a skipped step, and where the learning rate is 0.
    pub step: Option<StepSize>,
    /// The signal-to-noise ratio. `None` in a skipped step, before any gradient but zero has come, and for rules that do not
    /// average both the gradient and its square: all but Adam, AMSGrad, NAdam, RAdam and AdaBelief.
    pub snr: Option<Snr>,
}

/// The effective step `|step| / lr`, without decoupled decay: for Adam `|m_hat| / (sqrt(v_hat) + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepSize {
    /// The largest of all elements. NaN where one is NaN.
    pub largest: f64,
    /// Root mean square. NaN where one is not finite.
    pub rms: f64,
    /// See [`Config::paper_bound`]. In all, the largest of the tensors', if all have one.
    pub paper_bound: Option<f64>,
    /// See [`Config::step_bound`]. In all, the largest of the tensors', if all have one.
    pub bound: Option<f64>,
}

/// The signal-to-noise ratio `|m_hat| / sqrt(v_hat)`, with `m_hat = m / (1 - beta1^t)` and `v_hat = v / (1 - beta2^t)` (as
/// they are, without bias correction): near 1 where the gradients agree with each other, near 0 where they cancel, as they
/// do around a minimum. Kingma & Ba 2015, section 2.1. (AdaBelief's `v` is the variance around `m`, so that its ratio is
/// above 1 where the gradients agree; AMSGrad's is of `v`, not of `v_max`.)
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snr {
    /// Over the elements in the histogram.
    pub mean: f64,
    /// How many elements have a ratio below `EDGES[0]`, in `EDGES[i - 1]..EDGES[i]`, and from `EDGES[14]` on. Elements
    /// with `v` = 0, which no gradient has reached yet, are in none, nor are those that are not finite.
    pub histogram: [u64; 16],
}

impl Snr {
    /// Where one bin ends and the next begins: 2^-12, 2^-11, …, 1, 2, 4.
    pub const EDGES: [f64; 15] = {
        let mut edges = [1.0 / 4096.0; 15];
        let mut i = 1;
        while i < 15 {
            edges[i] = 2.0 * edges[i - 1];
            i += 1;
        }
        edges
    };
}

impl Measures {
    /// The share of gradients that are exactly zero.
    pub fn zero_share(&self) -> f64 {
        self.zero_grads as f64 / self.elements as f64
    }

    /// The share of gradients that are NaN or infinite.
    pub fn nonfinite_share(&self) -> f64 {
        self.nonfinite_grads as f64 / self.elements as f64
    }

    /// `update_rms / param_rms`: how large the step is beside the parameters, by rule of thumb about 1e-3 in a healthy
    /// training. `None` where all parameters are zero.
    pub fn update_ratio(&self) -> Option<f64> {
        (self.param_rms != 0.0).then(|| self.update_rms / self.param_rms)
    }
}

impl Insight {
    /// From one finding for each part of a tensor; `parts` gives the tensor and its number of elements of each. The
    /// configurations are those of the tensors.
    pub(crate) fn new(
        findings: impl Iterator<Item = Finding>,
        parts: impl Iterator<Item = (usize, u64)>,
        names: &[String],
        configs: &[Config],
    ) -> Self {
        let mut sums = vec![Sums::default(); names.len()];
        let (mut t, mut skipped) = (0, false);
        for (finding, (tensor, elements)) in findings.zip(parts) {
            t = t.max(finding.t);
            skipped |= finding.did_step == 0;
            sums[tensor].add(&finding, elements);
        }
        let mut all = Sums::default();
        for (sums, config) in sums.iter_mut().zip(configs) {
            (sums.paper_bound, sums.bound) = (config.paper_bound(), config.step_bound());
            all.join(sums);
        }
        let most = |bound: fn(&Sums) -> Option<f64>| {
            let bounds: Option<Vec<f64>> = sums.iter().map(bound).collect();
            bounds.map(|bounds| bounds.into_iter().fold(0.0, f64::max))
        };
        (all.paper_bound, all.bound) = (most(|sums| sums.paper_bound), most(|sums| sums.bound));
        let tensors = names.iter().zip(&sums);
        let tensors = tensors.map(|(name, sums)| TensorMeasures { name: name.clone(), measures: sums.measures() });
        Self { t, skipped, all: all.measures(), tensors: tensors.collect() }
    }
}

/// Findings added up, in f64.
#[derive(Clone, Copy, Default)]
struct Sums {
    elements: u64,
    zero: u64,
    nonfinite: u64,
    /// Sums of squares. Those of steps are in units of the learning rate.
    grad: f64,
    param: f64,
    update: f64,
    step: f64,
    /// Elements that made a step with a learning rate.
    stepped: u64,
    largest_step: f64,
    snr: f64,
    bins: [u64; BINS],
    paper_bound: Option<f64>,
    bound: Option<f64>,
}

impl Sums {
    fn add(&mut self, finding: &Finding, elements: u64) {
        let measured = &finding.measured;
        let mut part = Self {
            elements,
            zero: measured.zero.into(),
            nonfinite: measured.nonfinite.into(),
            grad: measured.grad.value() * f64::from(finding.unscale).powi(2),
            param: measured.param.value(),
            update: measured.update.value(),
            snr: measured.snr.into(),
            bins: finding.bins.map(u64::from),
            ..Self::default()
        };
        let lr = f64::from(finding.lr);
        if finding.did_step != 0 && lr > 0.0 {
            part.stepped = elements;
            part.step = measured.step.value() / (lr * lr);
            part.largest_step = f64::from(f32::from_bits(measured.largest_step)) / lr;
        }
        self.join(&part);
    }

    fn join(&mut self, other: &Self) {
        self.elements += other.elements;
        self.zero += other.zero;
        self.nonfinite += other.nonfinite;
        self.grad += other.grad;
        self.param += other.param;
        self.update += other.update;
        self.step += other.step;
        self.stepped += other.stepped;
        // NaN is the largest, where f64::max would lose it.
        if other.largest_step.is_nan() || other.largest_step > self.largest_step {
            self.largest_step = other.largest_step;
        }
        self.snr += other.snr;
        self.bins.iter_mut().zip(other.bins).for_each(|(bin, count)| *bin += count);
    }

    fn measures(&self) -> Measures {
        let rms = |squares: f64, elements: u64| (squares / elements as f64).sqrt();
        let counted: u64 = self.bins.iter().sum();
        Measures {
            elements: self.elements,
            zero_grads: self.zero,
            nonfinite_grads: self.nonfinite,
            grad_norm: self.grad.sqrt(),
            param_rms: rms(self.param, self.elements),
            update_rms: rms(self.update, self.elements),
            step: (self.stepped > 0).then(|| StepSize {
                largest: self.largest_step,
                rms: rms(self.step, self.stepped),
                paper_bound: self.paper_bound,
                bound: self.bound,
            }),
            snr: (counted > 0).then(|| Snr { mean: self.snr / counted as f64, histogram: self.bins }),
        }
    }
}
