//! Setters of values that may change between steps: learning rates, configurations, schedules, the step count.

use std::mem::offset_of;

use bytemuck::{bytes_of, cast_slice};

use crate::config::hyperparameters::Config;
use crate::config::options::check_shareable;
use crate::config::schedule::Schedule;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::blame::at_once;
use crate::gpu::builder::Builder;
use crate::gpu::pipelines::Reusable;
use crate::plan::clocks::{Registry, check_names, numbers_of};
use crate::plan::limits::Limits;
use crate::tick::clock::{Clock, ClockHead};
use crate::tick::settings::Settings;

impl Adam {
    /// Sets a group's learning rate, which its schedule multiplies.
    ///
    /// The new rate applies to steps that are submitted after this call, even if they were recorded before.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], [`Error::Config`] if `lr` is negative or not finite, and [`Error::OutOfMemory`].
    /// Nothing has changed then. A lost device is not an error here: the next report reports it.
    ///
    /// ```no_run
    /// # fn halve(mut adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
    /// let lr = adam.groups()[0].config.lr;
    /// adam.set_lr(0, lr / 2.0)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        let config = Config { lr, ..self.registry.group(group)?.config.clone() };
        self.write_config(group, config, "setting the learning rate")
    }

    /// Sets a group's configuration.
    ///
    /// The new configuration applies to steps that are submitted after this call, even if they were recorded before.
    /// Everything can change except the compiled rule: learning rate, betas, `eps`, `eps_root`, decay, `maximize`,
    /// `bias_correction`, and the numbers of the variant. Momentum can change between non-zero values. A new `initial`
    /// applies to tensors that are added later.
    ///
    /// The first bounds of an optimizer that has neither bounds nor clipping by value need other kernels: the call then
    /// reallocates the optimizer's buffers as [`add`](Self::add) does. Submit recorded steps before it, and record again
    /// after it.
    ///
    /// New betas affect the bias correction from here on. The clock keeps the running product of the betas that were in
    /// effect: `1 - product` is the exact sum of the weights in the moments. PyTorch uses `1 - beta^t` with the new
    /// beta for all steps, which is exact only if beta has always been the same. [`set_t`](Self::set_t) replaces the
    /// product by `beta^t`.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], [`Error::OtherRule`], the errors of an invalid configuration, and
    /// [`Error::OutOfMemory`]. Nothing has changed then. A lost device is not an error here: the next report reports
    /// it.
    ///
    /// ```no_run
    /// # fn sharpen(mut adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
    /// use wgpu_adam::Config;
    /// let config = adam.groups()[0].config.clone();
    /// adam.set_config(0, Config { beta2: 0.9999, ..config })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_config(&mut self, group: usize, config: Config) -> Result<(), Error> {
        self.write_config(group, config, "setting the configuration")
    }

    fn write_config(&mut self, group: usize, config: Config, what: &'static str) -> Result<(), Error> {
        self.registry.group(group)?.check_config(group, &config)?;
        if config.limits() && !self.layout.limits {
            return self.clamp(group, config);
        }
        let settings = Settings::new(&config);
        // The fields that do not come from the configuration are the last ones.
        let changed = &bytes_of(&settings)[..offset_of!(Settings, is_active)];
        at_once(&self.device, &[], what, || {
            for (clock, _) in self.registry.clocks.groups.iter().enumerate().filter(|(_, of)| **of == group) {
                self.queue.write_buffer(&self.settings, (clock * size_of::<Settings>()) as u64, changed);
            }
            Ok(())
        })?;
        self.registry.groups[group].config = config;
        self.write_rows();
        Ok(())
    }

    /// Sets the factors of the learning rates of a tensor's columns, by name: see [`Rows`](crate::rows::Rows).
    ///
    /// The new factors apply to steps that are submitted after this call, even if they were recorded before.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and [`Error::Rows`] if it is no tensor of rows, or if there are neither none nor
    /// as many factors as columns, or one is negative or not finite. Nothing has changed then.
    pub fn set_column_lr(&mut self, name: &str, column_lr: &[f64]) -> Result<(), Error> {
        check_names(&self.layout.names, &[name])?;
        let mut tensors = self.registry.groups.iter_mut().flat_map(|group| &mut group.tensors);
        if let Some(tensor) = tensors.find(|tensor| tensor.name == name) {
            tensor.set_column_lr(column_lr)?;
        }
        self.write_rows();
        Ok(())
    }

    /// Writes what the registry says about rows.
    pub(crate) fn write_rows(&self) {
        let limits = Limits::of(&self.device);
        for (region, rows) in self.layout.regions.iter().zip(&self.rows) {
            rows.iter().for_each(|rows| rows.write(&self.queue, region, &self.registry, &limits));
        }
    }

    /// Sets a group's schedule.
    ///
    /// The new schedule counts the steps of the group from the first one, as if it had been there from the beginning.
    ///
    /// This call replaces the dispatch that evaluates schedules and its buffers. Submit recorded steps before the call,
    /// and record again after it. State is neither moved nor copied.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], [`Error::Schedule`] and [`Error::Config`] for invalid values, [`Error::Limit`],
    /// [`Error::OutOfMemory`] and [`Error::Device`]. Nothing has changed then.
    pub fn set_schedule(&mut self, group: usize, schedule: Schedule) -> Result<(), Error> {
        self.registry.group(group)?;
        let mut registry = self.registry.clone();
        registry.groups[group].schedule = schedule;
        self.remake_tick(registry, self.reusable.clone(), "setting the schedule")
    }

    /// Uses the loss scale of another optimizer of the same device, for two optimizers of one loss.
    ///
    /// The other optimizer must step first in each training step. Both options must have the same
    /// [`loss_scale`](crate::Options::loss_scale). The scale then behaves as PyTorch's `GradScaler` with several
    /// optimizers: each optimizer skips the step if its own gradients are not finite, so one may step while the other
    /// skips; and the scale backs off once if any of them skips, and grows as the other optimizer's steps say.
    ///
    /// [`loss_scale_buffer`](Self::loss_scale_buffer) is the other optimizer's from now on. The loss scale belongs to
    /// it: loading a state into this optimizer leaves the scale alone.
    ///
    /// This call replaces the dispatch that makes the scalars, as [`set_schedule`](Self::set_schedule) does: record
    /// steps again after it.
    ///
    /// # Errors
    /// Returns [`Error::NotShareable`], [`Error::OutOfMemory`] and [`Error::Device`]. Nothing has changed then.
    ///
    /// ```no_run
    /// # fn pair(generator: &wgpu_adam::Adam, mut encoder_adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
    /// encoder_adam.share_loss_scale(generator)?;
    /// // In each step: generator.step(&mut encoder), and then encoder_adam.step(&mut encoder).
    /// # Ok(())
    /// # }
    /// ```
    pub fn share_loss_scale(&mut self, other: &Self) -> Result<(), Error> {
        check_shareable(&self.layout.options, &other.layout.options)?;
        if other.reusable.shares {
            return Err(Error::NotShareable { reason: "the other optimizer must have a loss scale of its own" });
        }
        if self.device != other.device {
            return Err(Error::NotShareable { reason: "both optimizers must be of one device" });
        }
        let loss_scale = other.reusable.loss_scale.clone();
        let reusable = Reusable { loss_scale, shares: true, ..self.reusable.clone() };
        self.remake_tick(self.registry.clone(), reusable, "sharing the loss scale")
    }

    /// Replaces the dispatch of `tick`.
    fn remake_tick(&mut self, registry: Registry, mut reusable: Reusable, what: &'static str) -> Result<(), Error> {
        let builder = Builder::checked(&self.device, &self.queue, registry, self.layout.options.clone())?;
        let (tick, dispatch) = at_once(&self.device, &[], what, || {
            builder.tick(self.tick.buffers.clone(), self.tick.unit_norms.clone(), &mut reusable).inspect(|_| {
                self.queue.write_buffer(&self.settings, 0, cast_slice(&builder.settings));
            })
        })?;
        let place = self.tick_place();
        self.dispatches[place] = dispatch;
        (self.tick, self.reusable, self.registry) = (tick, reusable, builder.registry);
        Ok(())
    }

    /// Sets whether tensors take part in the steps, by name. A tensor without a gradient in some steps is not a tensor
    /// whose gradient is zero: a zero would change its moments.
    ///
    /// An inactive tensor keeps its parameters, its moments and its `t`. The step does not read its gradients: they count
    /// neither for the norm nor as non-finite. [`Options::zero_grad`](crate::Options::zero_grad) zeroes them all the same. The
    /// schedule of its group goes on. The new value applies to steps that are submitted after this call, even if they
    /// were recorded before.
    ///
    /// Tensors that are switched get clocks of their own. The first call for tensors that share a clock with others
    /// reallocates the optimizer's buffers as [`add`](Self::add) does: submit recorded steps before it, and record again
    /// after it. A later call for the same tensors, together or one by one as before, writes a few words. Steps of
    /// optimizers without such a call cost the same as ever.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`], and the errors of [`new`](Self::new). Nothing has changed then.
    ///
    /// ```no_run
    /// # fn freeze(mut adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
    /// adam.set_active(&["encoder.weight", "encoder.bias"], false)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_active(&mut self, names: &[&str], active: bool) -> Result<(), Error> {
        let tensors = numbers_of(&self.layout.names, names)?;
        let Some(clocks) = self.registry.clocks.switchable(&tensors) else {
            return self.split(&tensors, active);
        };
        let mut next = self.registry.clocks.clone();
        clocks.iter().for_each(|&clock| next.switches[clock] = Some(active));
        at_once(&self.device, &[], "setting tensors active", || {
            for clock in clocks {
                let offset = clock * size_of::<Settings>() + offset_of!(Settings, is_active);
                self.queue.write_buffer(&self.settings, offset as u64, bytes_of(&u32::from(active)));
            }
            self.norm.write(&self.queue, &self.layout, &next);
            Ok(())
        })?;
        self.registry.clocks = next;
        Ok(())
    }

    /// Sets whether the tensors of a group take part in the steps: see [`set_active`](Self::set_active). Tensors that are
    /// added later are active.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], and the errors of [`set_active`](Self::set_active). Nothing has changed then.
    pub fn set_group_active(&mut self, group: usize, active: bool) -> Result<(), Error> {
        let names: Vec<String> = self.registry.group(group)?.tensors.iter().map(|tensor| tensor.name.clone()).collect();
        self.set_active(&names.iter().map(String::as_str).collect::<Vec<_>>(), active)
    }

    /// Sets the step count of all clocks and schedules to `t` applied steps, and the count of skipped steps to 0.
    ///
    /// The moments do not change. The next step is step `t + 1`, with its bias correction and its learning rate. The
    /// new count applies to steps that are submitted after this call.
    ///
    /// The count stops at `u32::MAX`. The device advances it, so the host does not know it:
    /// [`read_report`](Self::read_report) reads it.
    ///
    /// # Errors
    /// Returns [`Error::OutOfMemory`]. Nothing has changed then. A lost device is not an error here: the next report
    /// reports it.
    pub fn set_t(&self, t: u32) -> Result<(), Error> {
        let head = ClockHead::at(t, 0, 0);
        let clocks = self.registry.unscheduled();
        let clocks = clocks.iter().map(|settings| Clock::at(t, settings));
        // The last fields are those of an evaluation, which goes on.
        at_once(&self.device, &[], "setting t", || {
            self.queue.write_buffer(&self.clock, 0, &bytes_of(&head)[..offset_of!(ClockHead, evaluating)]);
            for (i, clock) in clocks.enumerate() {
                let at = size_of::<ClockHead>() + i * size_of::<Clock>();
                self.queue.write_buffer(&self.clock, at as u64, &bytes_of(&clock)[..offset_of!(Clock, to_average)]);
            }
            Ok(())
        })
    }

    /// Writes again what setters write, as the registry has it.
    pub(crate) fn rewrite(&self) {
        let settings = self.layout.settings(&self.registry);
        self.queue.write_buffer(&self.settings, 0, cast_slice(&settings));
        self.norm.write(&self.queue, &self.layout, &self.registry.clocks);
        self.write_rows();
    }
}
