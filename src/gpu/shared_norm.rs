//! A step in two parts, between which several optimizers add up their norms. Twin of `src/cpu/shared_norm.rs`.

use std::future::Future;

use wgpu::{Buffer, CommandEncoder, ComputePassDescriptor};

use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::dispatch::Dispatch;
use crate::gpu::readback::{Source, read};
use crate::report::norm_sums::NormSums;

/// # One norm of several optimizers
///
/// Optimizers on several devices, processes or machines, each with a part of the tensors, must clip and skip alike. With
/// [`Options::share_norm`](crate::Options::share_norm), a step can be recorded in two parts. Between them, the caller adds up
/// the sums of all optimizers, in the same order everywhere, and gives each optimizer the total. The crate has no engine
/// that carries the sums.
impl Adam {
    /// Records the first part of a step: it sums the squares of the gradients, and looks for non-finite ones.
    ///
    /// The sums are then in [`norm_buffer`](Self::norm_buffer). [`update`](Self::update) makes the step with what is there, so
    /// that the two parts without a change between them are [`step`](Self::step), bit for bit.
    ///
    /// ```no_run
    /// # async fn train(adam: wgpu_adam::Adam, device: wgpu::Device, queue: wgpu::Queue) -> Result<(), wgpu_adam::Error> {
    /// # fn all_gather(own: &[u8]) -> Vec<Vec<u8>> { vec![own.to_vec()] }
    /// use wgpu_adam::NormSums;
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// adam.norm(&mut encoder);
    /// queue.submit([encoder.finish()]);
    /// let own = adam.read_norm_sums().await?;
    /// let mut all = all_gather(&own.to_bytes()).into_iter().map(|bytes| NormSums::from_bytes(&bytes));
    /// let mut total = all.next().unwrap_or(Ok(own))?;
    /// for other in all {
    ///     total.add(&other?)?;
    /// }
    /// adam.write_norm_sums(&total)?;
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// adam.update(&mut encoder);
    /// queue.submit([encoder.finish()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Clipping by the norm of a group or of a tensor works if all optimizers have the same groups, and the same tensors in
    /// the groups that clip each tensor. The factors of LAMB, StableAdamW and Cautious AdamW are made of what the optimizer
    /// has of a tensor: with these rules, a tensor must be whole in one optimizer. [`Tensor::first`](crate::Tensor::first) is for
    /// parts of tensors.
    ///
    /// If gradients are missing, nothing is recorded, and an error is logged: see [`set_grads`](Self::set_grads).
    pub fn norm(&self, encoder: &mut CommandEncoder) {
        self.record_part("wgpu-adam norm", &self.dispatches[..self.tick_place()], encoder);
    }

    /// Records the second part of a step, which decides with the sums in [`norm_buffer`](Self::norm_buffer) and updates:
    /// see [`norm`](Self::norm).
    pub fn update(&self, encoder: &mut CommandEncoder) {
        self.record_part("wgpu-adam update", &self.dispatches[self.tick_place()..], encoder);
    }

    /// Returns the buffer that has the [`NormSums`] between [`norm`](Self::norm) and [`update`](Self::update). `None` without
    /// [`Options::share_norm`](crate::Options::share_norm), or if no norm is needed.
    ///
    /// It has usages `COPY_SRC` and `COPY_DST`. Changes of the tensors replace it.
    pub fn norm_buffer(&self) -> Option<&Buffer> {
        self.tick.unit_norms.as_ref().filter(|_| self.layout.shares_norm())
    }

    /// Reads the sums that the last submitted [`norm`](Self::norm) left. Without [`norm_buffer`](Self::norm_buffer), there are
    /// none.
    ///
    /// # Errors
    /// As for [`read_report`](Self::read_report).
    pub fn read_norm_sums(&self) -> impl Future<Output = Result<NormSums, Error>> + use<> {
        let source = self.norm_buffer().map(|buffer| Source { buffer, offset: 0, bytes: buffer.size() });
        let bytes = source.map(|source| read(&self.device, &self.queue, "the sums of the norm", &[source]));
        async move {
            match bytes {
                Some(bytes) => NormSums::from_bytes(&bytes.await?),
                None => Ok(NormSums::default()),
            }
        }
    }

    /// Writes the sums of all optimizers for the next submitted [`update`](Self::update).
    ///
    /// # Errors
    /// Returns [`Error::NormSums`] if they are not of this optimizer's units. Nothing is written then.
    pub fn write_norm_sums(&self, sums: &NormSums) -> Result<(), Error> {
        let limits = self.layout.units.iter().filter(|units| units.shared).flat_map(|units| &units.max_norms);
        NormSums::with_limits(limits).check(sums)?;
        if let Some(buffer) = self.norm_buffer() {
            self.queue.write_buffer(buffer, 0, &sums.to_bytes());
        }
        Ok(())
    }

    /// The place of `tick` in the dispatches. The updates, one for each batch, are last. Before them are the factors of
    /// steps, and before these `tick`.
    pub(crate) fn tick_place(&self) -> usize {
        self.dispatches.len() - self.layout.batches.len() - self.layout.rescales.dispatches() - 1
    }

    fn record_part(&self, label: &str, dispatches: &[Dispatch], encoder: &mut CommandEncoder) {
        if let Err(error) = self.check_given() {
            log::error!("the {label} is not recorded: {error}");
            return;
        }
        let descriptor = ComputePassDescriptor { label: Some(label), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
    }
}
