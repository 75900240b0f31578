//! Where the gradients of a tensor are.

use crate::config::dtype::Dtype;
use crate::config::view::View;

/// Where the gradients of a tensor are: always in the same place, or in another one at each step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Grads {
    /// All steps read this view.
    Fixed(View),
    /// Each step reads a view that [`Adam::set_grads`](crate::Adam::set_grads) was given before it. This suits programs that
    /// allocate their gradients anew in each backward pass.
    EachStep {
        /// The number of elements of these views.
        len: u64,
        /// The storage format of their elements.
        dtype: Dtype,
    },
}

impl Grads {
    /// Returns the number of gradients.
    #[expect(clippy::len_without_is_empty, reason = "an empty tensor is an error")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Fixed(view) => view.len,
            Self::EachStep { len, .. } => *len,
        }
    }

    /// Returns the storage format of the gradients.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::Fixed(view) => view.dtype,
            Self::EachStep { dtype, .. } => *dtype,
        }
    }

    /// Returns the view of all steps, if there is one.
    pub fn view(&self) -> Option<&View> {
        match self {
            Self::Fixed(view) => Some(view),
            Self::EachStep { .. } => None,
        }
    }
}

impl From<View> for Grads {
    fn from(view: View) -> Self {
        Self::Fixed(view)
    }
}
