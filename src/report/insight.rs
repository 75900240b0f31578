//! The measurements of a step, in the paper's terms.

use crate::config::hyperparameters::Config;
use crate::report::records::{BINS, Finding};

/// The measurements of one step by a [`Probe`](crate::Probe), per tensor and overall.
///
/// The device measures after it has decided on the step, and before it changes anything. Gradients and parameters are
/// the values that the step reads. Moments and the step itself are the values that the rule computes, before they are
/// rounded to narrower formats.
///
/// A skipped step has only measurements of gradients and parameters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Insight {
    /// The number of applied steps, the measured one included, of the oldest clock.
    pub t: u32,
    /// Whether the measured step was skipped.
    pub skipped: bool,
    /// All tensors together.
    pub all: Measures,
    /// Each tensor, in the order of the groups and their tensors.
    pub tensors: Vec<TensorMeasures>,
}

/// A tensor in an [`Insight`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorMeasures {
    /// The name of the tensor.
    pub name: String,
    /// The measurements.
    pub measures: Measures,
}

/// The measurements of one tensor, or of all.
///
/// Sums of squares neither overflow nor underflow, at any magnitude. Subnormal numbers (below 2^-126) count as zero,
/// since some devices flush them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measures {
    /// The number of elements. Of a tensor of [rows](crate::rows), those of active rows.
    pub elements: u64,
    /// The number of gradients that are exactly zero.
    pub zero_grads: u64,
    /// The number of gradients that are NaN or infinite.
    pub nonfinite_grads: u64,
    /// The 2-norm of the finite gradients, before clipping and without the loss scale.
    pub grad_norm: f64,
    /// The root mean square of the parameters before the step. NaN if a parameter is not finite.
    pub param_rms: f64,
    /// The root mean square of the change of the parameters, decoupled decay included. NaN if a change is not finite, 0
    /// in a skipped step.
    pub update_rms: f64,
    /// The effective step. `None` in a skipped step, and at a learning rate of 0.
    pub step: Option<StepSize>,
    /// The signal-to-noise ratio. `None` in a skipped step, before the first non-zero gradient, and for rules that do
    /// not average both the gradient and its square: all except Adam, AMSGrad, NAdam, RAdam, AdaBelief, AdEMAMix, LAMB,
    /// StableAdamW and Cautious AdamW.
    pub snr: Option<Snr>,
}

/// The effective step `|step| / lr`, without decoupled decay. For Adam it is `|m_hat| / (sqrt(v_hat) + eps)`. It includes the factors
/// of LAMB, StableAdamW and Cautious AdamW; for Schedule-Free it is the step of `y`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepSize {
    /// The largest step of all elements. NaN if a step is NaN.
    pub largest: f64,
    /// The root mean square of all steps. NaN if a step is not finite.
    pub rms: f64,
    /// The bound of [`Config::paper_bound`]. For all tensors together it is the largest bound, if each tensor has one.
    pub paper_bound: Option<f64>,
    /// The bound of [`Config::step_bound`]. For all tensors together it is the largest bound, if each tensor has one.
    pub bound: Option<f64>,
}

/// The signal-to-noise ratio `|m_hat| / sqrt(v_hat)` of the gradients.
///
/// The ratio is near 1 if successive gradients agree, and near 0 if they cancel out, as around a minimum. `m_hat` and
/// `v_hat` are `m / (1 - beta1^t)` and `v / (1 - beta2^t)`, or `m` and `v` without bias correction. AdaBelief's `v` is
/// the variance around `m`, so that its ratio exceeds 1 if gradients agree. AMSGrad's ratio uses `v` and not `v_max`,
/// and AdEMAMix's uses `m` and not the slow average.
///
/// Source: Kingma & Ba 2015, section 2.1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snr {
    /// The mean over the elements of the histogram.
    pub mean: f64,
    /// The number of elements with a ratio below `EDGES[0]`, in `EDGES[i - 1]..EDGES[i]`, and from `EDGES[14]` on.
    ///
    /// Elements with `v` = 0, which have not had a gradient yet, and elements with a non-finite ratio are not counted.
    pub histogram: [u64; 16],
}

impl Snr {
    /// The edges between the bins of [`histogram`](Self::histogram): 2^-12, 2^-11, …, 1, 2, 4.
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
    /// Returns the share of gradients that are exactly zero.
    pub fn zero_share(&self) -> f64 {
        self.zero_grads as f64 / self.elements as f64
    }

    /// Returns the share of gradients that are NaN or infinite.
    pub fn nonfinite_share(&self) -> f64 {
        self.nonfinite_grads as f64 / self.elements as f64
    }

    /// Returns the update-to-parameter ratio, `update_rms / param_rms`. As a rule of thumb, it is about 1e-3 in healthy
    /// training. `None` if all parameters are zero.
    pub fn update_ratio(&self) -> Option<f64> {
        (self.param_rms != 0.0).then(|| self.update_rms / self.param_rms)
    }
}

impl Insight {
    /// From one finding for each part of a tensor; `parts` gives the tensor of each. The configurations are those of the
    /// tensors.
    pub(crate) fn new(
        findings: impl Iterator<Item = Finding>,
        parts: impl Iterator<Item = usize>,
        names: &[String],
        configs: &[Config],
    ) -> Self {
        let mut sums = vec![Sums::default(); names.len()];
        let (mut t, mut skipped) = (0, true);
        for (finding, tensor) in findings.zip(parts) {
            t = t.max(finding.t);
            skipped &= finding.did_step == 0;
            sums[tensor].add(&finding);
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
    fn add(&mut self, finding: &Finding) {
        let measured = &finding.measured;
        let elements = u64::from(measured.elements);
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
        let rms = |squares: f64, elements: u64| (squares / elements.max(1) as f64).sqrt();
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
