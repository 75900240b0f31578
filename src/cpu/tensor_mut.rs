//! The values of one tensor for one step on the CPU, in their dtypes.

use ::half::{bf16, f16};

use crate::config::dtype::Dtype;

/// Mutable slices of one tensor's parameters and gradients, for one step.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// The name of the tensor, which the step checks. Default: `None`, which is not checked.
    pub name: Option<&'a str>,
    /// The parameters, which the step updates in place.
    pub param: Values<'a>,
    /// The gradients. The step reads them, and zeroes them with [`Options::zero_grad`](crate::Options::zero_grad).
    pub grad: Values<'a>,
    /// What a tensor of rows needs. Default: empty slices.
    pub rows: RowInputs<'a>,
}

/// The numbers of a tensor of [rows](crate::rows) for one step. Those that its [`Rows`](crate::rows::Rows) do not ask for
/// are not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowInputs<'a> {
    /// The factor of each row's learning rate, for [`row_lr`](crate::rows::Rows::row_lr).
    pub row_lr: &'a [f32],
    /// For [`Active`](crate::rows::Active): a u32 for each row, a bit for each row, how
    /// many rows, or the numbers of the rows. All numbers of such a list count.
    pub active: &'a [u32],
    /// The place of each row's gradient, for [`GradRows::Compact`](crate::rows::GradRows::Compact): a number for each row.
    /// The number of gradients may differ from step to step.
    pub inverse: &'a [u32],
}

/// A mutable slice of elements of one dtype.
#[derive(Debug)]
#[non_exhaustive]
pub enum Values<'a> {
    /// Elements of [`Dtype::F32`].
    F32(&'a mut [f32]),
    /// Elements of [`Dtype::F16`].
    F16(&'a mut [f16]),
    /// Elements of [`Dtype::Bf16`].
    Bf16(&'a mut [bf16]),
    /// Elements of [`Dtype::I32`].
    I32(&'a mut [i32]),
}

impl<'a> TensorMut<'a> {
    /// Borrows one tensor's parameters and gradients: slices, arrays or vectors of f32, f16, bf16 or i32.
    pub fn new(param: impl Into<Values<'a>>, grad: impl Into<Values<'a>>) -> Self {
        Self { name: None, param: param.into(), grad: grad.into(), rows: RowInputs::default() }
    }

    /// Sets [`name`](Self::name), so that a step returns [`Error::TensorName`](crate::Error::TensorName) if another
    /// tensor has this place.
    #[must_use]
    pub fn with_name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Sets [`rows`](Self::rows).
    #[must_use]
    pub fn with_rows(self, rows: RowInputs<'a>) -> Self {
        Self { rows, ..self }
    }
}

impl Values<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
            Self::I32(values) => values.len(),
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
            Self::I32(_) => Dtype::I32,
        }
    }
}

macro_rules! values_from {
    ($($number:ty => $values:ident),*) => {$(
        impl<'a> From<&'a mut [$number]> for Values<'a> {
            fn from(values: &'a mut [$number]) -> Self {
                Self::$values(values)
            }
        }

        impl<'a, const N: usize> From<&'a mut [$number; N]> for Values<'a> {
            fn from(values: &'a mut [$number; N]) -> Self {
                Self::$values(values)
            }
        }

        impl<'a> From<&'a mut Vec<$number>> for Values<'a> {
            fn from(values: &'a mut Vec<$number>) -> Self {
                Self::$values(values)
            }
        }
    )*};
}

values_from!(f32 => F32, f16 => F16, bf16 => Bf16, i32 => I32);
