//! A step in two parts, between which several optimizers add up their norms. Twin of `src/gpu/shared_norm.rs`.

use crate::cpu::adam::Adam;
use crate::cpu::tensor_mut::TensorMut;
use crate::error::Error;
use crate::report::norm_sums::NormSums;
use crate::report::step::Report;

impl Adam {
    /// Returns the sums of the squares of the gradients, and changes nothing: the first part of a step, which
    /// [`update`](Self::update) ends. See [`crate::Adam::norm`].
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn norm(&self, tensors: &mut [TensorMut]) -> Result<NormSums, Error> {
        self.check(tensors)?;
        if !self.shares_norm() {
            return Ok(NormSums::default());
        }
        let (floats, given) = self.load(tensors);
        Ok(NormSums { units: self.unit_norms(&self.partials(&floats, &given)) })
    }

    /// Takes one step with the sums of several optimizers: see [`crate::Adam::update`]. With what [`norm`](Self::norm)
    /// returned, it is [`step`](Self::step).
    ///
    /// # Errors
    /// Returns [`Error::NormSums`] if the sums are not those of the optimizer's units, and the errors of
    /// [`step`](Self::step). Nothing has changed then.
    pub fn update(&mut self, tensors: &mut [TensorMut], sums: &NormSums) -> Result<Report, Error> {
        self.check(tensors)?;
        let limits = self.units.iter().filter(|units| units.shared).flat_map(|units| &units.max_norms);
        NormSums::with_limits(limits).check(sums)?;
        self.step_and(tensors, false, self.shares_norm().then_some(sums), |_, _, _, _| {})
    }
}
