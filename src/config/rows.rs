//! Tensors of rows: splats, embeddings, and other parameters whose unit is a row.

use crate::config::dtype::Dtype;
use crate::config::rule::Rule;
use crate::config::variant::Variant;
use crate::config::view::View;
use crate::error::Error;
use crate::num::quad::LANES;

/// The widest row.
pub(crate) const MAX_WIDTH: u32 = 1024;

/// How a tensor of rows is stepped: N rows of `width` elements, row-major.
///
/// The step of element j of row i is
///
/// ```text
/// v[i,j] = beta2*v[i,j] + (1 - beta2)*g[i,j]^2           SecondMoment::Elementwise
/// v[i]   = beta2*v[i] + (1 - beta2)*mean_j(g[i,j]^2)     SecondMoment::RowMean; RowSum has the sum in place of the mean
/// param[i,j] -= column_lr[j] * row_lr[i] * (the step of the rule, and its decoupled decay)
/// ```
///
/// A row that is not active keeps its parameters, its state and its step count, and its gradients are not read: they count
/// neither for the norm nor as non-finite.
///
/// Parameters, gradients and each state tensor take one storage buffer of a shader stage. Each of `row_lr`, `active`,
/// `steps` and `grad_rows` takes one more if it is not its default; `Active::First` takes none. Adam with all of them takes
/// 8, which is the default limit of a device. With an additional state tensor, such as a master copy, all of them need a
/// device with a larger `max_storage_buffers_per_shader_stage`.
///
/// `Rows` describes a tensor on the GPU, whose rates, masks, lists and indices are [`View`]s. A tensor on the CPU has
/// `Rows<()>`, and each step gets these numbers as slices: [`cpu::RowInputs`](crate::cpu::RowInputs).
///
/// ```
/// use wgpu_adam::rows::{Rows, RowSteps, SecondMoment};
/// use wgpu_adam::{Config, Options, cpu};
/// // Two splats of three columns. The third column is trained at a tenth of the rate.
/// let rows = Rows {
///     column_lr: vec![1.0, 1.0, 0.1],
///     second_moment: SecondMoment::RowMean,
///     steps: RowSteps::PerRow,
///     ..Rows::new(3)
/// };
/// let splats = cpu::Tensor::new("splats", 6).with_rows(rows);
/// let mut adam = cpu::Adam::new(&[cpu::Group::new(Config::default(), vec![splats])], Options::default())?;
/// let (mut param, mut grad) = ([1.0; 6], [0.5; 6]);
/// adam.step(&mut [cpu::TensorMut::new(&mut param, &mut grad)])?;
/// assert_eq!(param, [0.999, 0.999, 0.9999, 0.999, 0.999, 0.9999]);
/// # Ok::<(), wgpu_adam::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<V = View> {
    /// The elements of a row: 1 to 1,024.
    pub width: u32,
    /// A factor of the learning rate for each column, finite and not negative. Empty: all 1. It can be changed in mid-run:
    /// [`Adam::set_column_lr`](crate::Adam::set_column_lr). Default: empty.
    pub column_lr: Vec<f64>,
    /// A factor of the learning rate for each row: an f32 for each. It must be finite and not negative, which the step does
    /// not check. Default: none.
    pub row_lr: Option<V>,
    /// What the second moment averages. Default: [`SecondMoment::Elementwise`].
    pub second_moment: SecondMoment,
    /// The rows that a step changes. Default: [`Active::All`].
    pub active: Active<V>,
    /// The step count that corrects the bias. Default: [`RowSteps::Shared`].
    pub steps: RowSteps,
    /// How the gradients lie. Default: [`GradRows::Dense`].
    pub grad_rows: GradRows<V>,
}

/// What the second moment of a row averages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondMoment {
    /// The square of each element, as for any tensor.
    #[default]
    Elementwise,
    /// The mean of the squares of a row: one f32 per row, whatever the precision. FBGEMM's `partial_rowwise_adam`, brush's
    /// spherical harmonics, and Adam-mini (Zhang et al. 2024) do so. For Adam, AdamW, RAdam, NAdam, LaProp, ADOPT, AdEMAMix, RMSProp
    /// that is not centered, and AdaGrad.
    RowMean,
    /// The sum of the squares of a row, as in Taichi's Gaussian splatting. Otherwise like [`RowMean`](Self::RowMean).
    RowSum,
}

/// The rows that a step changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Active<V = View> {
    /// All rows.
    #[default]
    All,
    /// The rows whose u32 is not 0.
    Mask(V),
    /// The rows whose bit is 1: that of row i is bit i % 32 of u32 number i / 32.
    Bits(V),
    /// The first rows: one u32 says how many. Or all of them, if there are fewer. The device may have made the number, and
    /// the step costs what these rows cost, as with a list.
    First(V),
    /// The rows of a list, which the device may have made. The step costs what these rows cost: its dispatch is indirect,
    /// and the device sets its size.
    List {
        /// The numbers of the rows, as u32. They must differ from each other, which
        /// [`Adam::check_list`](crate::Adam::check_list) checks. Numbers that are not of a row are skipped.
        indices: V,
        /// One u32: how many of the indices count. If there are fewer indices, all of them count.
        count: V,
    },
}

/// The step count that corrects the bias of a row's moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowSteps {
    /// That of the tensor, for all rows. A row that is often inactive is corrected as if it had taken each step, so its
    /// first steps are too small. PyTorch's `SparseAdam` does so.
    #[default]
    Shared,
    /// The row's own: the steps in which it was active. It is a u32 per row of state. The powers of beta are those of the
    /// current betas. For Adam, AdamW, AMSGrad, AdaMax, AdaBelief, LaProp, and for Lion and RMSProp, which correct nothing.
    PerRow,
}

/// How the gradients of a tensor of rows lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum GradRows<V = View> {
    /// The gradient of each row is at the place of the row.
    #[default]
    Dense,
    /// There are gradients of some rows only, of any number of rows.
    Compact {
        /// A u32 for each row: the place of its gradient, counted in rows. Only those of rows that are active otherwise are
        /// read, so that with a list the others need not be written. A row is inactive if its number is not of a row of the
        /// gradients, such as `u32::MAX`. Two active rows may share a gradient, but not with
        /// [`Options::zero_grad`](crate::Options::zero_grad).
        inverse: V,
    },
}

impl<V> Rows<V> {
    /// Rows of `width` elements that are stepped like any tensor.
    pub fn new(width: u32) -> Self {
        Self {
            width,
            column_lr: Vec::new(),
            row_lr: None,
            second_moment: SecondMoment::Elementwise,
            active: Active::All,
            steps: RowSteps::Shared,
            grad_rows: GradRows::Dense,
        }
    }

    /// The same rows without the views.
    pub(crate) fn without_views(&self) -> Rows<()> {
        Rows {
            width: self.width,
            column_lr: self.column_lr.clone(),
            row_lr: self.row_lr.as_ref().map(|_| ()),
            second_moment: self.second_moment,
            active: match &self.active {
                Active::All => Active::All,
                Active::Mask(_) => Active::Mask(()),
                Active::Bits(_) => Active::Bits(()),
                Active::First(_) => Active::First(()),
                Active::List { .. } => Active::List { indices: (), count: () },
            },
            steps: self.steps,
            grad_rows: match &self.grad_rows {
                GradRows::Dense => GradRows::Dense,
                GradRows::Compact { .. } => GradRows::Compact { inverse: () },
            },
        }
    }

    /// What a kernel is compiled for.
    pub(crate) fn kind(&self) -> RowKind {
        RowKind {
            row_lr: self.row_lr.is_some(),
            active: match &self.active {
                Active::All => ActiveKind::All,
                Active::Mask(_) => ActiveKind::Mask,
                Active::Bits(_) => ActiveKind::Bits,
                Active::First(_) => ActiveKind::First,
                Active::List { .. } => ActiveKind::List,
            },
            compact: matches!(self.grad_rows, GradRows::Compact { .. }),
            partial: !self.width.is_multiple_of(LANES as u32),
        }
    }

    /// The factor of a column's learning rate.
    pub(crate) fn column_lr(&self, column: usize) -> f32 {
        self.column_lr.get(column).map_or(1.0, |factor| *factor as f32)
    }

    /// Multiplies the sum of the squares of a row.
    pub(crate) fn mean(&self) -> f32 {
        if self.second_moment == SecondMoment::RowMean { 1.0 / self.width as f32 } else { 1.0 }
    }

    /// Checks that rows of this kind can take over the state of others.
    fn check_state<U>(&self, old: &Rows<U>) -> Result<(), String> {
        if (self.width, self.second_moment, self.steps) == (old.width, old.second_moment, old.steps) {
            return Ok(());
        }
        Err("width, second_moment and steps of its rows must stay the same".to_owned())
    }

    /// Checks the numbers, for a tensor of `len` elements with gradients of `grad_len`.
    pub(crate) fn check(&self, variant: &Variant, len: u64, grad_len: u64) -> Result<(), String> {
        let Self { width, .. } = *self;
        let wide = u64::from(width);
        if !(1..=MAX_WIDTH).contains(&width) {
            return Err(format!("the rows have {width} elements, but must have 1 to {MAX_WIDTH}"));
        }
        if !len.is_multiple_of(wide) {
            return Err(format!("there are {len} elements, but rows of {width} need a multiple of {width}"));
        }
        if matches!(self.grad_rows, GradRows::Compact { .. }) && !grad_len.is_multiple_of(wide) {
            return Err(format!("there are {grad_len} gradients, but rows of {width} need a multiple of {width}"));
        }
        if len / wide > u64::from(u32::MAX) - 1 {
            return Err(format!("there are {} rows, but there can be at most {}", len / wide, u32::MAX - 1));
        }
        self.check_column_lr(&self.column_lr)?;
        let rule = variant.rule();
        if rule == Rule::ScheduleFree || rule.rescale().is_some() {
            return Err(format!(
                "{} needs a tensor whose elements all take part in each step, but rows may be left out",
                variant.name()
            ));
        }
        if self.second_moment != SecondMoment::Elementwise && !rule.averages_squares() {
            return Err(format!(
                "{:?} needs a rule that averages the squares of the gradients, not {rule:?}",
                self.second_moment
            ));
        }
        if self.steps == RowSteps::PerRow && !variant.corrects_by_row() {
            return Err(format!(
                "RowSteps::PerRow needs a variant whose bias correction is that of Adam, or that has none, not {variant:?}"
            ));
        }
        Ok(())
    }

    /// Sets the factors of the columns.
    fn set_column_lr(&mut self, column_lr: &[f64]) -> Result<(), String> {
        self.check_column_lr(column_lr)?;
        self.column_lr = column_lr.to_vec();
        Ok(())
    }

    fn check_column_lr(&self, column_lr: &[f64]) -> Result<(), String> {
        let (given, need) = (column_lr.len(), self.width);
        if given != 0 && given != need as usize {
            return Err(format!("column_lr has {given} factors, but a row has {need} columns"));
        }
        match column_lr.iter().position(|factor| !(*factor >= 0.0 && (*factor as f32).is_finite())) {
            Some(j) => Err(format!("column_lr[{j}] is {}, but must be finite and not negative", column_lr[j])),
            None => Ok(()),
        }
    }
}

/// Checks that a tensor can take over the state of another of its name. Each pair is of the old tensor and the new one: their
/// rows, the dtypes of their params and their lengths.
pub(crate) fn check_rebind<U, V>(
    tensor: &str,
    rows: (Option<&Rows<U>>, Option<&Rows<V>>),
    dtypes: (Dtype, Dtype),
    lens: (u64, u64),
) -> Result<(), Error> {
    let tensor = || tensor.to_owned();
    let checked = match rows {
        (Some(old), Some(new)) => new.check_state(old),
        (None, None) => Ok(()),
        _ => Err("a tensor of rows must stay one".to_owned()),
    };
    checked.map_err(|reason| Error::Rows { tensor: tensor(), reason })?;
    if dtypes.0 != dtypes.1 {
        let (what, given, need) = ("the dtype of its param", format!("{:?}", dtypes.1), format!("{:?}", dtypes.0));
        return Err(Error::Rebind { tensor: tensor(), what, given, need });
    }
    if rows.0.is_none() && lens.0 != lens.1 {
        let (what, given, need) = ("its length", lens.1.to_string(), lens.0.to_string());
        return Err(Error::Rebind { tensor: tensor(), what, given, need });
    }
    Ok(())
}

/// Sets the factors of the columns of a tensor.
pub(crate) fn set_column_lr<V>(tensor: &str, rows: Option<&mut Rows<V>>, column_lr: &[f64]) -> Result<(), Error> {
    let set = rows.ok_or_else(|| "it is no tensor of rows".to_owned()).and_then(|rows| rows.set_column_lr(column_lr));
    set.map_err(|reason| Error::Rows { tensor: tensor.to_owned(), reason })
}

/// What a kernel for rows is compiled for. The state of the rows is a part of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowKind {
    pub row_lr: bool,
    pub active: ActiveKind,
    pub compact: bool,
    /// The last quad of a row is partial.
    pub partial: bool,
}

/// [`Active`] without its views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ActiveKind {
    All,
    Mask,
    Bits,
    First,
    List,
}

impl ActiveKind {
    /// Whether the device says how many rows there are to look at.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::First | Self::List)
    }

    /// Whether a buffer says which rows are active.
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Mask | Self::Bits | Self::List)
    }
}

impl Rule {
    /// Whether it averages the square of the gradient and needs it for nothing else, so that the average can be that of a
    /// row.
    pub(crate) fn averages_squares(self) -> bool {
        use Rule::{AdEmaMix, AdaGrad, Adam, Adopt, LaProp, NAdam, RmsProp, RmsPropMomentum};
        matches!(self, Adam | NAdam | LaProp | Adopt | AdEmaMix | RmsProp | RmsPropMomentum | AdaGrad)
    }
}

impl Variant {
    /// Whether the only scalars that depend on t are Adam's corrections of the bias, or none.
    fn corrects_by_row(&self) -> bool {
        match self {
            Self::Adam | Self::LaProp | Self::AdaBelief | Self::AdaMax | Self::AmsGrad { of_corrected: false } => true,
            Self::Lion | Self::RmsProp { .. } => true,
            Self::AdaGrad { lr_decay, .. } => *lr_decay == 0.0,
            _ => false,
        }
    }
}
