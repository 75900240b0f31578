//! What can be changed between steps. Twin of `src/gpu/setters.rs`.

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;
use crate::cpu::adam::Adam;
use crate::cpu::tensor::Group;
use crate::error::Error;
use crate::tick::clock::{Clock, ClockHead, NONE};

impl Adam {
    /// Sets a group's learning rate, from the next step on; where there is a schedule, what that multiplies.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], or [`Error::Config`] where `lr` is negative or not finite; then nothing has changed.
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        self.change_group(group, |own| own.config.lr = lr)
    }

    /// Sets a group's configuration, from the next step on.
    pub fn set_config(&mut self, group: usize, config: Config) -> Result<(), Error> {
        self.change_group(group, |own| own.config = config)
    }

    /// Sets a group's schedule, from the next step on.
    pub fn set_schedule(&mut self, group: usize, schedule: Schedule) -> Result<(), Error> {
        self.change_group(group, |own| own.schedule = schedule)
    }

    fn change_group(&mut self, group: usize, change: impl FnOnce(&mut Group)) -> Result<(), Error> {
        let groups = self.groups.len();
        let own = self.groups.get_mut(group).ok_or(Error::NoSuchGroup { group, groups })?;
        let mut next = own.clone();
        change(&mut next);
        own.config.check_change(group, &next.config)?;
        next.validate(group)?;
        let rescheduled = own.schedule != next.schedule;
        *own = next;
        if rescheduled {
            self.settle();
            return Ok(());
        }
        for (settings, _) in self.settings.iter_mut().zip(&self.of.groups).filter(|(_, of)| **of == group) {
            settings.reconfigure(&own.config);
        }
        Ok(())
    }

    /// Sets all clocks, and the schedules, to `t` applied steps, and the count of skipped steps to 0. The moments stay as they are.
    pub fn set_t(&mut self, t: u32) {
        self.head = ClockHead { applied: t, nonfinite_partial: NONE, clip_coef: 1.0, ..Default::default() };
        for (clock, settings) in self.clocks.iter_mut().zip(&self.settings) {
            *clock = Clock::at(t, settings);
        }
    }
}
