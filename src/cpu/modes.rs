//! The change between the parameters for training and those for evaluation. Twin of `change_mode.wgsl` and
//! `change_param.wgsl`.

use crate::cpu::adam::Adam;
use crate::cpu::storage::{load, store_param};
use crate::cpu::tensor_mut::TensorMut;
use crate::error::Error;
use crate::num::fixed::{complement, fraction};
use crate::tick::clock::Clock;
use crate::tick::settings::{Settings, time_law};

impl Adam {
    /// Makes the parameters those for evaluation: see [`crate::Adam::eval_mode`]. Takes all tensors, as
    /// [`step`](Self::step) does, and leaves the gradients alone.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn eval_mode(&mut self, tensors: &mut [TensorMut]) -> Result<(), Error> {
        self.change_mode(tensors, true)
    }

    /// Makes the parameters those for training again: see [`crate::Adam::train_mode`].
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn train_mode(&mut self, tensors: &mut [TensorMut]) -> Result<(), Error> {
        self.change_mode(tensors, false)
    }

    fn change_mode(&mut self, tensors: &mut [TensorMut], evaluates: bool) -> Result<(), Error> {
        self.check(tensors)?;
        if self.settings.iter().all(|settings| settings.time_law != time_law::SCHEDULE_FREE) {
            return Ok(());
        }
        let before = self.head.evaluating != 0;
        let change_of = |(clock, settings): (&mut Clock, &Settings)| {
            let old = clock.to_average;
            if !evaluates {
                clock.to_average = 0.0;
                return -old;
            }
            if before || settings.time_law != time_law::SCHEDULE_FREE {
                return 0.0;
            }
            clock.to_average = -complement(settings.beta1) / fraction(settings.beta1);
            clock.to_average
        };
        let changes: Vec<f32> = self.clocks.iter_mut().zip(&self.settings).map(change_of).collect();
        self.head.evaluating = evaluates.into();
        for (i, tensor) in tensors.iter_mut().enumerate() {
            let change = changes[self.of.of_tensor[i]];
            if change == 0.0 {
                continue;
            }
            let (storage, moments) = (&self.storages[i], &mut self.moments[i]);
            let mut param = load(storage, tensor, &moments.master, self.grad_scales[i]).param;
            param.iter_mut().zip(&moments.m).for_each(|(param, m)| *param += change * m);
            let param = param.owned();
            store_param(storage, tensor, param, moments, |_| None);
        }
        Ok(())
    }
}
