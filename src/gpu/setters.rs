//! What can be changed between steps: learning rates, configurations, schedules, the count of steps.

use std::mem::offset_of;

use bytemuck::{bytes_of, cast_slice};

use crate::config::hyperparameters::Config;
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::builder::Builder;
use crate::gpu::error_scopes::{ErrorScopes, now_or_none};
use crate::tick::clock::{Clock, ClockHead, NONE};
use crate::tick::settings::Settings;

impl Adam {
    /// Sets a group's learning rate (what its schedule multiplies, where it has one) from the next submission on: steps that
    /// were submitted before this call keep the old one, steps that are submitted after it have the new one, whenever they
    /// were recorded.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`]; [`Error::Config`] where `lr` is negative or not finite; [`Error::OutOfMemory`]. Then nothing has
    /// changed. On a lost device there is none: what comes back from it, a report for example, says that it was lost.
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        let config = Config { lr, ..self.registry.config_of(group)?.clone() };
        self.write_config(group, config, "setting the learning rate")
    }

    /// Sets a group's configuration, from the next submission on.
    pub fn set_config(&mut self, group: usize, config: Config) -> Result<(), Error> {
        self.write_config(group, config, "setting the configuration")
    }

    fn write_config(&mut self, group: usize, config: Config, what: &'static str) -> Result<(), Error> {
        self.registry.config_of(group)?.check_change(group, &config)?;
        let mut registry = self.registry.clone();
        registry.groups[group].config = config;
        registry.groups[group].validate(group)?;
        let scopes = ErrorScopes::open(&self.device);
        for (clock, settings) in registry.unscheduled().iter().enumerate() {
            if registry.clocks.groups[clock] == group {
                let offset = clock * size_of::<Settings>();
                // The schedule stays, and its fields are the last ones.
                let changed = &bytes_of(settings)[..offset_of!(Settings, first_curve)];
                self.queue.write_buffer(&self.settings, offset as u64, changed);
            }
        }
        now_or_none(scopes.close(what)).unwrap_or(Ok(()))?;
        self.registry = registry;
        Ok(())
    }

    /// Sets a group's schedule, from the next submission on.
    pub fn set_schedule(&mut self, group: usize, schedule: Schedule) -> Result<(), Error> {
        self.registry.config_of(group)?;
        let mut registry = self.registry.clone();
        registry.groups[group].schedule = schedule;
        let builder = Builder::checked(&self.device, &self.queue, registry, self.layout.options.clone())?;
        let scopes = ErrorScopes::open(&self.device);
        let mut reusable = self.reusable.clone();
        let made = builder.tick(self.tick.buffers.clone(), &mut reusable).inspect(|_| {
            self.queue.write_buffer(&self.settings, 0, cast_slice(&builder.settings));
        });
        now_or_none(scopes.close("setting the schedule")).unwrap_or(Ok(()))?;
        let (tick, dispatch) = made?;
        // The updates, one for each batch, are last, and `tick` is before them.
        let place = self.dispatches.len() - self.layout.batches.len() - 1;
        self.dispatches[place] = dispatch;
        (self.tick, self.reusable, self.registry) = (tick, reusable, builder.registry);
        Ok(())
    }

    /// Sets all clocks, and the schedules, to `t` applied steps, from the next submission on, and the count of skipped steps to 0.
    /// The moments stay as they are. Bias corrections are those of step `t + 1` in the next step.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; then nothing has changed. As with [`set_lr`](Self::set_lr), a lost device is none.
    pub fn set_t(&self, t: u32) -> Result<(), Error> {
        let head = ClockHead { applied: t, nonfinite_partial: NONE, clip_coef: 1.0, ..Default::default() };
        let clocks = self.registry.unscheduled();
        let clocks = clocks.iter().map(|settings| Clock::at(t, settings));
        let clocks: Vec<Clock> = clocks.collect();
        let scopes = ErrorScopes::open(&self.device);
        self.queue.write_buffer(&self.clock, 0, &[bytes_of(&head), cast_slice(&clocks)].concat());
        now_or_none(scopes.close("setting t")).unwrap_or(Ok(()))
    }
}
