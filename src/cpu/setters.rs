//! Setters of values that may change between steps. Counterpart of `src/gpu/setters.rs`.

use crate::config::hyperparameters::Config;
use crate::config::rows::set_column_lr;
use crate::config::schedule::Schedule;
use crate::cpu::adam::Adam;
use crate::cpu::tensor::Group;
use crate::error::Error;
use crate::plan::clocks::numbers_of;
use crate::tick::clock::{Clock, ClockHead};

impl Adam {
    /// Sets a group's learning rate, which its schedule multiplies, from the next step on.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], and [`Error::Config`] if `lr` is negative or not finite. Nothing has changed
    /// then.
    pub fn set_lr(&mut self, group: usize, lr: f64) -> Result<(), Error> {
        let config = Config { lr, ..self.group(group)?.config.clone() };
        self.set_config(group, config)
    }

    /// Sets a group's configuration, from the next step on.
    ///
    /// Everything can change except the compiled rule. After a change of betas, the bias correction uses the running
    /// product of the betas that were in effect: see [`crate::Adam::set_config`].
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], [`Error::OtherRule`], and the errors of an invalid configuration. Nothing has
    /// changed then.
    ///
    /// ```
    /// use wgpu_adam::{Config, Options, cpu};
    /// let group = cpu::Group::new(Config::default(), vec![cpu::Tensor::new("w", 2)]);
    /// let mut adam = cpu::Adam::new(&[group], Options::default())?;
    /// let config = adam.groups()[0].config.clone();
    /// adam.set_config(0, Config { beta2: 0.9999, ..config })?;
    /// # Ok::<(), wgpu_adam::Error>(())
    /// ```
    pub fn set_config(&mut self, group: usize, config: Config) -> Result<(), Error> {
        self.group(group)?.check_config(group, &config)?;
        for (settings, _) in self.settings.iter_mut().zip(&self.of.groups).filter(|(_, of)| **of == group) {
            settings.reconfigure(&config);
        }
        self.groups[group].config = config;
        Ok(())
    }

    /// Sets the factors of the learning rates of a tensor's columns, by name, from the next step on.
    ///
    /// # Errors
    /// As for [`crate::Adam::set_column_lr`]. Nothing has changed then.
    pub fn set_column_lr(&mut self, name: &str, column_lr: &[f64]) -> Result<(), Error> {
        let number = numbers_of(&self.names, &[name])?[0];
        set_column_lr(name, self.rows[number].as_mut(), column_lr)?;
        let mut tensors = self.groups.iter_mut().flat_map(|group| &mut group.tensors);
        tensors
            .find(|tensor| tensor.name == name)
            .into_iter()
            .for_each(|tensor| tensor.rows = self.rows[number].clone());
        Ok(())
    }

    /// Sets a group's schedule, from the next step on. The new schedule counts the steps of the group from the first
    /// one.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`], and [`Error::Schedule`] or [`Error::Config`] for invalid values. Nothing has
    /// changed then.
    pub fn set_schedule(&mut self, group: usize, schedule: Schedule) -> Result<(), Error> {
        self.group(group)?.check_schedule(group, &schedule)?;
        self.groups[group].schedule = schedule;
        self.settle();
        Ok(())
    }

    /// Sets whether tensors take part in the steps, by name.
    ///
    /// An inactive tensor keeps its parameters, its moments and its `t`. Its gradients count neither for the norm nor
    /// as non-finite. The schedule of its group goes on: see [`crate::Adam::set_active`]. A step is still given all
    /// tensors.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchTensor`]. Nothing has changed then.
    pub fn set_active(&mut self, names: &[&str], active: bool) -> Result<(), Error> {
        let tensors = numbers_of(&self.names, names)?;
        let mut clocks = self.of.clone();
        if clocks.switchable(&tensors).is_none() {
            let before;
            (clocks, before) = self.of.split(&tensors);
            self.clocks = before.into_iter().flatten().map(|clock| self.clocks[clock]).collect();
        }
        tensors.iter().for_each(|&tensor| clocks.switches[clocks.of_tensor[tensor]] = Some(active));
        self.set_clocks(clocks);
        Ok(())
    }

    /// Sets whether the tensors of a group take part in the steps: see [`set_active`](Self::set_active).
    ///
    /// # Errors
    /// Returns [`Error::NoSuchGroup`]. Nothing has changed then.
    pub fn set_group_active(&mut self, group: usize, active: bool) -> Result<(), Error> {
        let names: Vec<String> = self.group(group)?.tensors.iter().map(|tensor| tensor.name.clone()).collect();
        self.set_active(&names.iter().map(String::as_str).collect::<Vec<_>>(), active)
    }

    fn group(&self, group: usize) -> Result<&Group, Error> {
        let groups = self.groups.len();
        self.groups.get(group).ok_or(Error::NoSuchGroup { group, groups })
    }

    /// Sets the step count of all clocks and schedules to `t` applied steps, and the count of skipped steps to 0. The
    /// moments do not change.
    pub fn set_t(&mut self, t: u32) {
        // An evaluation goes on.
        self.head = ClockHead { evaluating: self.head.evaluating, ..ClockHead::at(t, 0, 0) };
        for (clock, settings) in self.clocks.iter_mut().zip(&self.settings) {
            *clock = Clock { to_average: clock.to_average, ..Clock::at(t, settings) };
        }
    }
}
