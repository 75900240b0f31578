//! `Adam`: made once from the caller's groups, then recorded into the caller's encoders.

use std::future::Future;
use std::sync::Arc;

use bytemuck::{bytes_of, cast_slice, pod_read_unaligned};
use wgpu::{BindGroup, Buffer, CommandEncoder, ComputePass, ComputePassDescriptor, ComputePipeline, Device, Queue};

use crate::bind::Builder;
use crate::clock::{Powers, Settings};
use crate::config::rate;
use crate::plan::{LANES, Launch};
use crate::readback::{Source, read};
use crate::report::{ClockHead, GroupClock, NONE};
use crate::state::{Moments, State};
use crate::{Config, Error, Group, Options, Report, cpu, tensor};

/// Adam on the caller's own buffers.
///
/// The moments `m` and `v` (f32, 8 bytes an element, zero at first) are buffers of its own; parameters and gradients stay
/// where they are. All that a step decides, it decides on the device: nothing is sent to it or read from it for a step.
pub struct Adam {
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) state: Vec<LaunchState>,
    pub(crate) settings: Buffer,
    pub(crate) clock: Buffer,
    #[cfg(test)]
    pub(crate) slots: Buffer,
    pub(crate) shared: Arc<Shared>,
}

/// What a report needs to speak of tensors by name, after the optimizer has moved on.
pub(crate) struct Shared {
    pub names: Vec<String>,
    pub lens: Vec<u64>,
    pub launches: Vec<Launch>,
    /// For each launch the number of its first partial.
    pub partials: Vec<u32>,
    pub configs: Vec<Config>,
    /// Tensors in each group.
    pub group_lens: Vec<usize>,
    pub options: Options,
}

/// One dispatch, ready to be recorded.
pub(crate) struct Dispatch {
    pub pipeline: ComputePipeline,
    pub bind_group: BindGroup,
    pub workgroups: [u32; 3],
}

/// What the rule of one launch remembers, in the order of `Rule::memories`. They are buffers of the launch's own, so that
/// wgpu puts no barrier between two launches.
pub(crate) type LaunchState = Vec<Buffer>;

impl Adam {
    /// Plans the launches, makes the moments and the pipelines. Nothing is submitted.
    ///
    /// # Errors
    /// Everything that can be wrong with a configuration, a view or the device's limits; see [`Error`]. Then nothing was made.
    pub fn new(device: &Device, groups: &[Group], options: Options) -> Result<Self, Error> {
        for (i, group) in groups.iter().enumerate() {
            group.config.validate(i)?;
        }
        options.validate()?;
        let (pieces, buffers) = tensor::place(groups)?;
        Builder::new(device, groups, options, &pieces, &buffers)?.build()
    }

    /// Records one step into a compute pass of its own at the end of `encoder`.
    ///
    /// Only records: no GPU object is made, nothing is submitted, written or read. Several steps may go into one
    /// submission; each sees the gradients as the commands before it left them.
    pub fn step(&self, encoder: &mut CommandEncoder) {
        let descriptor = ComputePassDescriptor { label: Some("wgpu-adam step"), timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor));
    }

    /// Records one step into the caller's compute pass. Pipeline and bind group 0 are others afterwards.
    pub fn record(&self, pass: &mut ComputePass) {
        for dispatch in &self.dispatches {
            pass.set_pipeline(&dispatch.pipeline);
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            let [x, y, z] = dispatch.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// Dispatches that a step records.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Sets a group's learning rate, from the next submission on: steps that were submitted before this call keep the
    /// old one, steps that are submitted after it have the new one, whenever they were recorded.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], or [`Error::Config`] where `lr` is negative or not finite; then nothing has changed.
    pub fn set_lr(&self, queue: &Queue, group: usize, lr: f64) -> Result<(), Error> {
        let groups = self.shared.configs.len();
        if group >= groups {
            return Err(Error::NoSuchGroup { group, groups });
        }
        rate(group, "lr", lr)?;
        let at = group * size_of::<Settings>() + std::mem::offset_of!(Settings, lr);
        queue.write_buffer(&self.settings, at as u64, bytes_of(&(lr as f32)));
        Ok(())
    }

    /// Sets the clock of all groups to `t` applied steps, from the next submission on, and the count of skipped steps to 0.
    /// The moments stay as they are. Bias corrections are those of step `t + 1` in the next step.
    pub fn set_t(&self, queue: &Queue, t: u32) {
        let head = ClockHead { applied: t, bad_partial: NONE, clip_coef: 1.0, ..Default::default() };
        let groups = self.shared.configs.iter().map(|config| GroupClock {
            powers: Powers::at(t, &Settings::new(config)),
            t,
            lr: 0.0,
        });
        let groups: Vec<GroupClock> = groups.collect();
        queue.write_buffer(&self.clock, 0, &[bytes_of(&head), cast_slice(&groups)].concat());
    }

    /// What the last submitted step did. The copy is submitted now and the future resolves when the device has got there;
    /// it needs nothing of `self` and may be awaited later, after more steps.
    ///
    /// On native the future polls the device whenever it is polled, and never blocks: `pollster::block_on` will do, and so
    /// will any executor. In a browser the event loop does the work.
    ///
    /// # Errors
    /// [`Error::Readback`] where the device cannot map the buffer, because it was lost for example.
    pub fn report(&self, device: &Device, queue: &Queue) -> impl Future<Output = Result<Report, Error>> + use<> {
        let source = Source { buffer: &self.clock, offset: 0, bytes: self.clock.size() };
        let bytes = read(device, queue, "the report", &[source]);
        let shared = self.shared.clone();
        async move {
            let bytes = bytes.await?;
            let (head, groups) = bytes.split_at(size_of::<ClockHead>());
            let head: ClockHead = pod_read_unaligned(head);
            let groups: Vec<GroupClock> =
                groups.chunks_exact(size_of::<GroupClock>()).map(pod_read_unaligned).collect();
            let bad = shared.tensor_at(head.bad_partial, head.bad_element);
            Ok(Report::new(&head, &groups, shared.options.reads_norm(), bad))
        }
    }

    /// The moments of every tensor, in the order of the groups. Like [`report`](Self::report), the copy is submitted now.
    ///
    /// # Errors
    /// [`Error::Readback`].
    pub fn state(&self, device: &Device, queue: &Queue) -> impl Future<Output = Result<State, Error>> + use<> {
        let buffers = self.state.iter().flatten();
        let sources: Vec<Source> = buffers.map(|buffer| Source { buffer, offset: 0, bytes: buffer.size() }).collect();
        let bytes = read(device, queue, "the moments", &sources);
        let report = self.report(device, queue);
        let shared = self.shared.clone();
        async move {
            let bytes = bytes.await?;
            let t = report.await?.t;
            let moments = shared.names.iter().map(|name| {
                let (m, v, v_max) = Default::default();
                Moments { name: name.clone(), m, v, v_max }
            });
            let mut moments: Vec<Moments> = moments.collect();
            let mut words = bytes.chunks_exact(4).map(pod_read_unaligned::<f32>);
            for launch in &shared.launches {
                for memory in launch.rule.memories() {
                    let values: Vec<f32> = words.by_ref().take(launch.words as usize * LANES as usize).collect();
                    for segment in &launch.segments {
                        let part = &values[segment.begin as usize..segment.end as usize];
                        let whole = moments[segment.tensor].of(*memory);
                        whole.resize(shared.lens[segment.tensor] as usize, 0.0);
                        whole[segment.first as usize..][..part.len()].copy_from_slice(part);
                    }
                }
            }
            Ok(State { t, tensors: moments })
        }
    }

    /// A CPU twin of the same groups and options at step 0, which adds the gradients' squares in the order in which this
    /// one does: on a CPU adapter it gives the same bits, clipping included.
    pub fn twin(&self) -> cpu::Adam {
        let shared = &self.shared;
        let mut names = shared.names.iter().zip(&shared.lens);
        let groups = shared.configs.iter().zip(&shared.group_lens).map(|(config, &len)| {
            cpu::Group::new(
                *config,
                names.by_ref().take(len).map(|(name, &len)| cpu::Tensor::new(name.clone(), len as usize)).collect(),
            )
        });
        cpu::Adam::like(&groups.collect::<Vec<_>>(), shared.options, &shared.launches)
    }
}

impl Shared {
    fn tensor_at(&self, partial: u32, element: u32) -> Option<String> {
        if partial == NONE {
            return None;
        }
        let launch = self.partials.partition_point(|&first| first <= partial).checked_sub(1)?;
        let segment = self.launches[launch].segments.iter().find(|s| (s.begin..s.end).contains(&element))?;
        Some(self.names[segment.tensor].clone())
    }
}
