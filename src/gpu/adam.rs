//! `Adam`: made once from the caller's groups, then recorded into the caller's encoders.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytemuck::pod_read_unaligned;
use wgpu::{Buffer, CommandEncoder, ComputePass, ComputePassDescriptor, Device, Queue};

use crate::config::group::Group;
use crate::config::loss_scale::ScaleBytes;
use crate::config::options::Options;
use crate::cpu::adam::Adam as CpuAdam;
use crate::cpu::tensor::{Group as CpuGroup, Tensor as CpuTensor};
use crate::error::Error;
use crate::gpu::builder::Builder;
use crate::gpu::error_scopes::{ErrorScopes, now_or_none};
use crate::gpu::layout::{BatchState, Dispatch, Layout, split_clock};
use crate::gpu::pipelines::Reusable;
use crate::gpu::readback::{Source, read};
use crate::gpu::tick::Tick;
use crate::plan::clocks::Registry;
use crate::report::memory_use::MemoryUse;
use crate::report::step::Report;

/// Adam on the caller's own buffers.
///
/// The moments `m` and `v` (f32 and so 8 bytes an element, if [`Options::precision`] does not say otherwise; zero at first)
/// are buffers of its own; parameters and gradients stay
/// where they are. All that a step decides, it decides on the device: nothing is sent to it or read from it for a step.
pub struct Adam {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    pub(crate) dispatches: Vec<Dispatch>,
    /// Of each batch of regions.
    pub(crate) state: Vec<BatchState>,
    pub(crate) settings: Buffer,
    pub(crate) clock: Buffer,
    pub(crate) slots: Buffer,
    pub(crate) tick: Tick,
    /// Bytes of the small buffers that are bound elsewhere: the regions' uniforms and the tiles.
    pub(crate) small: u64,
    /// As they are now: for changes of them.
    pub(crate) registry: Registry,
    pub(crate) reusable: Reusable,
    pub(crate) layout: Arc<Layout>,
}

const MAKING: &str = "making the optimizer";

impl fmt::Debug for Adam {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut adam = f.debug_struct("Adam");
        adam.field("groups", &self.registry.groups.len()).field("tensors", &self.layout.names.len());
        adam.field("dispatches", &self.dispatches.len()).finish_non_exhaustive()
    }
}

impl Adam {
    /// Plans the regions, makes the moments and the pipelines. Nothing is submitted.
    ///
    /// In a browser the device's own errors (out of memory, for example) come later than this returns, and go to its log:
    /// [`new_async`](Self::new_async) waits for them.
    ///
    /// # Errors
    /// Everything that can be wrong with a configuration, a view or the device's limits, and what the device itself
    /// reports; see [`Error`]. Then nothing was made.
    pub fn new(device: &Device, queue: &Queue, groups: &[Group], options: Options) -> Result<Self, Error> {
        let builder = Builder::checked(device, queue, Registry::new(groups), options)?;
        let scopes = ErrorScopes::open(device);
        let made = builder.build(Reusable::default());
        now_or_none(scopes.close(MAKING)).unwrap_or(Ok(()))?;
        made
    }

    /// As [`new`](Self::new), and waits for the device's own errors, in a browser too.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub async fn new_async(device: &Device, queue: &Queue, groups: &[Group], options: Options) -> Result<Self, Error> {
        let builder = Builder::checked(device, queue, Registry::new(groups), options)?;
        let scopes = ErrorScopes::open(device);
        let made = builder.build(Reusable::default());
        scopes.close(MAKING).await?;
        made
    }

    /// Records one step into a compute pass of its own at the end of `encoder`.
    ///
    /// Only records: no GPU object is made, nothing is submitted, written or read. Several steps may go into one
    /// submission; each sees the gradients as the commands before it left them. Where a buffer of the caller's was destroyed,
    /// the submission is an error (of the caller's scopes) and no command in it runs: state and clock stay as they were.
    pub fn step(&self, encoder: &mut CommandEncoder) {
        let descriptor = ComputePassDescriptor { label: Some("wgpu-adam step"), timestamp_writes: None };
        self.step_in_pass(&mut encoder.begin_compute_pass(&descriptor));
    }

    /// Records one step into the caller's compute pass. Pipeline and bind group 0 are others afterwards.
    pub fn step_in_pass(&self, pass: &mut ComputePass) {
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }

    /// The groups as they are now: their configurations, with the learning rates that were set last, their schedules and
    /// their tensors.
    pub fn groups(&self) -> &[Group] {
        &self.registry.groups
    }

    /// The options with which the optimizer was made.
    pub fn options(&self) -> &Options {
        &self.layout.options
    }

    /// The names of all tensors, in the order of the groups and their tensors.
    pub fn tensor_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.layout.names.iter().map(String::as_str)
    }

    /// Dispatches that a step records.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// What the last submitted step did. The copy is submitted now and the future resolves when the device has got there;
    /// it needs nothing of `self` and may be awaited later, after more steps.
    ///
    /// On native the future polls the device whenever it is polled, and never blocks: `pollster::block_on` will do, and so
    /// will any executor. In a browser the event loop does the work.
    ///
    /// # Errors
    /// [`Error::Readback`] where the device cannot map the buffer, because it was lost for example.
    pub fn read_report(&self) -> impl Future<Output = Result<Report, Error>> + use<> {
        let buffers = [Some(&self.clock), self.loss_scale_buffer()].into_iter().flatten();
        let sources: Vec<Source> = buffers.map(|buffer| Source { buffer, offset: 0, bytes: buffer.size() }).collect();
        let bytes = read(&self.device, &self.queue, "the report", &sources);
        let (layout, clock) = (self.layout.clone(), self.clock.size() as usize);
        async move {
            let bytes = bytes.await?;
            let (clock, scale) = bytes.split_at(clock);
            let (head, clocks) = split_clock(clock);
            let scale = (!scale.is_empty()).then(|| pod_read_unaligned::<ScaleBytes>(scale).scale);
            let bad = layout.tensor_at(head.nonfinite_partial, head.nonfinite_element);
            Ok(Report::new(&head, &layout.clocks.groups, &clocks, layout.options.reads_norm(), bad, scale))
        }
    }

    /// The buffer with the loss scale, if there is one: 16 bytes, of which the first four are the scale as an f32. Its usages
    /// are `STORAGE`, `UNIFORM` and `COPY_SRC`, so that a shader can declare it as
    /// `var<uniform> loss_scale: f32`; it must not write it. A step reads the scale and leaves the next one there.
    ///
    /// It is the same buffer for as long as the optimizer lives, whatever is added, removed, reset or loaded.
    pub fn loss_scale_buffer(&self) -> Option<&Buffer> {
        self.reusable.loss_scale.as_ref()
    }

    /// Bytes that the optimizer holds on the device, by what they are for.
    pub fn memory_use(&self) -> MemoryUse {
        let tick = self.tick.buffers.iter().chain(&self.tick.curves).chain(self.loss_scale_buffer());
        let small = self.small + tick.map(Buffer::size).sum::<u64>();
        let mut all = MemoryUse { small, ..MemoryUse::default() };
        for (batch, state) in self.layout.batched().zip(&self.state) {
            for (kind, buffer) in batch[0].storage.state_kinds().zip(state) {
                all.add(kind, buffer.size());
            }
        }
        all
    }

    /// A CPU twin of the same groups and options at step 0, which adds the gradients' squares in the order in which this
    /// one does: on a CPU adapter it gives the same bits, clipping included.
    pub fn to_cpu(&self) -> CpuAdam {
        let tensors = |group: &Group| {
            group
                .tensors
                .iter()
                .map(|t| {
                    CpuTensor::new(t.name.clone(), t.param.len as usize)
                        .with_dtypes(t.param.dtype, t.grad.dtype)
                        .with_grad_scale(t.grad_scale)
                })
                .collect()
        };
        let groups = self.registry.groups.iter().map(|group| CpuGroup {
            config: group.config.clone(),
            tensors: tensors(group),
            schedule: group.schedule.clone(),
        });
        let clocks = self.registry.clocks.clone();
        CpuAdam::like(&groups.collect::<Vec<_>>(), clocks, self.layout.options.clone(), &self.layout.regions)
    }
}
