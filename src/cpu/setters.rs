//! Changes between steps: learning rates, configurations, schedules and the count of steps. Twin of
//! `src/gpu/setters.rs`.

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;
use crate::cpu::adam::Adam;
use crate::cpu::tensor::Group;
use crate::error::Error;
use crate::tick::clock::{Clock, ClockHead, NONE};

impl Adam {
    /// Sets a group's learning rate from the next step on. A schedule multiplies this rate.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], or [`Error::Config`] if `lr` is negative or non-finite. After an error nothing has
    /// changed.
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        self.change_group(group, |group| group.config.lr = lr)
    }

    /// Sets a group's configuration from the next step on.
    pub fn set_config(&mut self, group: usize, config: Config) -> Result<(), Error> {
        self.change_group(group, |group| group.config = config)
    }

    /// Sets a group's schedule from the next step on.
    pub fn set_schedule(&mut self, group: usize, schedule: Schedule) -> Result<(), Error> {
        self.change_group(group, |group| group.schedule = schedule)
    }

    fn change_group(&mut self, group: usize, change: impl FnOnce(&mut Group)) -> Result<(), Error> {
        let groups = self.groups.len();
        let old = self.groups.get_mut(group).ok_or(Error::NoSuchGroup { group, groups })?;
        let mut new = old.clone();
        change(&mut new);
        old.config.check_change(group, &new.config)?;
        new.validate(group)?;
        *old = new;
        self.settle();
        Ok(())
    }

    /// Sets all clocks and schedules to `t` applied steps, and the count of skipped steps to 0. The moments do not
    /// change.
    pub fn set_t(&mut self, t: u32) {
        self.head = ClockHead { applied: t, nonfinite_partial: NONE, clip_coef: 1.0, ..Default::default() };
        for (clock, settings) in self.clocks.iter_mut().zip(&self.settings) {
            *clock = Clock::at(t, settings);
        }
    }
}
