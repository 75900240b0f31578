//! `Adam`: made once from the caller's groups, then recorded into the caller's encoders.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytemuck::pod_read_unaligned;
use wgpu::{Buffer, CommandEncoder, ComputePass, ComputePassDescriptor, Device, Queue};

use crate::config::group::Group;
use crate::config::loss_scale::ScaleBytes;
use crate::config::options::Options;
use crate::config::rows::Rows;
use crate::cpu::adam::Adam as CpuAdam;
use crate::cpu::tensor::{Group as CpuGroup, Tensor as CpuTensor};
use crate::error::Error;
use crate::gpu::blame::{at_once, awaited, blame};
use crate::gpu::builder::Builder;
use crate::gpu::dispatch::Dispatch;
use crate::gpu::error_scopes::ErrorScopes;
use crate::gpu::grad_places::GivenGrads;
use crate::gpu::layout::{BatchState, Layout, split_clock};
use crate::gpu::modes::Modes;
use crate::gpu::norm::Norm;
use crate::gpu::pipelines::Reusable;
use crate::gpu::readback::{Source, alive, read};
use crate::gpu::rows::RowBuffers;
use crate::gpu::tick::Tick;
use crate::gpu::uniforms::Uniforms;
use crate::plan::clocks::Registry;
use crate::plan::window::Place;
use crate::report::memory_use::MemoryUse;
use crate::report::step::Report;

/// An optimizer on the GPU: Adam or a relative of it, in place on the caller's buffers.
///
/// The optimizer owns the state: 8 bytes per element for Adam in f32, less with a narrower [`Options::precision`].
/// Parameters and gradients stay in the caller's buffers. The optimizer keeps handles of the device and the queue that
/// it was made with.
///
/// [`step`](Self::step) records only compute dispatches: two or three if all tensors form one region. The device counts the steps,
/// evaluates schedules, clips and skips, so the host never waits. Only the methods named `read_*` read something back.
///
/// Errors of the device, such as out of memory, are returned as [`Error`] and do not reach the device's handler of
/// uncaptured errors. In a browser they are known only after a turn of the event loop, and a synchronous method cannot
/// return them. The asynchronous methods wait for them; [`checked`](Adam::checked) is the asynchronous form of every
/// change.
///
/// ```no_run
/// use wgpu_adam::{Adam, Config, Error, Group, Options, Tensor};
///
/// async fn train(
///     device: &wgpu::Device,
///     queue: &wgpu::Queue,
///     param: &wgpu::Buffer,
///     grad: &wgpu::Buffer,
/// ) -> Result<(), Error> {
///     let group = Group::new(Config::default(), vec![Tensor::f32("w", param, grad)]);
///     let adam = Adam::new(device, queue, &[group], Options::default())?;
///     for _ in 0..1000 {
///         let mut encoder = device.create_command_encoder(&Default::default());
///         // The backward pass fills the gradients here.
///         adam.step(&mut encoder);
///         queue.submit([encoder.finish()]);
///     }
///     println!("{} steps", adam.read_report().await?.t);
///     Ok(())
/// }
/// ```
pub struct Adam {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    /// The caller's buffers, in the order of the windows' numbers.
    pub(crate) places: Vec<Place>,
    pub(crate) given: GivenGrads,
    pub(crate) dispatches: Vec<Dispatch>,
    /// The state buffers of each batch.
    pub(crate) state: Vec<BatchState>,
    pub(crate) settings: Buffer,
    pub(crate) clock: Buffer,
    pub(crate) scalar_slots: Buffer,
    pub(crate) norm: Norm,
    pub(crate) tick: Tick,
    pub(crate) modes: Modes,
    /// Of each region of rows.
    pub(crate) rows: Vec<Option<RowBuffers>>,
    /// The uniforms of the regions, and the buffer that has them.
    pub(crate) regions: (Uniforms, Buffer),
    /// Second sets of state buffers, each with the number of its batch: see [`gather`](Self::gather).
    pub(crate) spares: Vec<(usize, BatchState)>,
    /// Bytes of the small buffers that are bound elsewhere: the regions' uniforms and the tiles.
    pub(crate) small: u64,
    /// The current groups and clocks. Edits start from them.
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
    /// Creates an optimizer: plans the dispatches, and creates the state and the pipelines. Submits nothing.
    ///
    /// `queue` must be the queue of `device`, and the tensors' buffers must belong to `device`.
    ///
    /// In a browser, errors of the device are not known when this returns, and reach the device's handler of uncaptured
    /// errors. Use [`new_async`](Self::new_async) there.
    ///
    /// # Errors
    /// Returns an error for an invalid configuration, schedule, option or tensor, and for limits of the device that are
    /// too low. Returns [`Error::OutOfMemory`], [`Error::Buffer`] for a destroyed buffer or a buffer of another device,
    /// and [`Error::Device`] for a lost device.
    pub fn new(device: &Device, queue: &Queue, groups: &[Group], options: Options) -> Result<Self, Error> {
        let builder = Builder::checked(device, queue, Registry::new(groups), options)?;
        at_once(device, groups, MAKING, || builder.build(Reusable::default()))
    }

    /// Creates an optimizer as [`new`](Self::new) does, and waits for errors of the device, in a browser too.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub async fn new_async(device: &Device, queue: &Queue, groups: &[Group], options: Options) -> Result<Self, Error> {
        let builder = Builder::checked(device, queue, Registry::new(groups), options)?;
        awaited(device, groups, MAKING, || builder.build(Reusable::default())).await
    }

    /// Changes the optimizer, and waits for the device's errors, in a browser too. If there is one, the change is taken
    /// back.
    ///
    /// On native, the synchronous methods return the device's errors themselves, and there is no need for this one. In a
    /// browser they cannot: the device reports an error only after a turn of the event loop. It then reaches the error
    /// scopes of the caller or the device's handler of uncaptured errors, and the optimizer is of no use.
    ///
    /// ```no_run
    /// # async fn grow(mut adam: wgpu_adam::Adam, param: &wgpu::Buffer, grad: &wgpu::Buffer) -> Result<(), wgpu_adam::Error> {
    /// use wgpu_adam::Tensor;
    /// adam.checked(|adam| adam.add(0, [Tensor::f32("head", param, grad)])).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the error of the change, and the errors of the device. The optimizer is as before then, except for the
    /// counts that [`set_t`](Self::set_t) has set.
    pub async fn checked<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let before = self.handles();
        let scopes = ErrorScopes::open(&self.device);
        let done = change(self);
        let what = "changing the optimizer";
        let checked = blame(scopes.close(what), &self.device, &self.registry.groups).await;
        checked.and(alive(&self.device, what).await).and(done).inspect_err(|_| {
            *self = before;
            self.rewrite();
        })
    }

    /// The same optimizer again: all of its parts are handles.
    fn handles(&self) -> Self {
        Self {
            device: self.device.clone(),
            queue: self.queue.clone(),
            places: self.places.clone(),
            given: self.given.clone(),
            dispatches: self.dispatches.clone(),
            state: self.state.clone(),
            settings: self.settings.clone(),
            clock: self.clock.clone(),
            scalar_slots: self.scalar_slots.clone(),
            norm: self.norm.clone(),
            tick: self.tick.clone(),
            modes: self.modes.clone(),
            rows: self.rows.clone(),
            regions: self.regions.clone(),
            spares: self.spares.clone(),
            small: self.small,
            registry: self.registry.clone(),
            reusable: self.reusable.clone(),
            layout: self.layout.clone(),
        }
    }

    /// Records one step into a compute pass of its own at the end of `encoder`.
    ///
    /// Recording creates no GPU object, and submits, writes and reads nothing. One submission may contain any number of
    /// steps. Each step uses the gradients that the commands before it wrote.
    ///
    /// An operating system or a browser may stop a submission that runs too long, and the device is lost then: by
    /// default after 2 seconds on Windows (its `TdrDelay`), and after some seconds on macOS and in browsers. Put only as
    /// many steps into a submission as take well below a second.
    ///
    /// If one of the caller's buffers was destroyed, the submission fails with a validation error of wgpu, and no
    /// command in it runs. State and clock are then unchanged.
    ///
    /// If gradients change their places, [`set_grads`](Self::set_grads) must come first: otherwise nothing is recorded, and an
    /// error is logged.
    pub fn step(&self, encoder: &mut CommandEncoder) {
        let descriptor = ComputePassDescriptor { label: Some("wgpu-adam step"), timestamp_writes: None };
        self.step_in_pass(&mut encoder.begin_compute_pass(&descriptor));
    }

    /// Records one step into the caller's compute pass. Changes the pass's pipeline and bind group 0.
    pub fn step_in_pass(&self, pass: &mut ComputePass) {
        if let Err(error) = self.check_given() {
            log::error!("the step is not recorded: {error}");
            return;
        }
        for dispatch in &self.dispatches {
            dispatch.record(pass);
        }
    }

    /// Records the change from the parameters for training to those for evaluation. Only
    /// [`Variant::ScheduleFree`](crate::Variant::ScheduleFree) makes a difference between the two.
    ///
    /// The parameters `y` of each Schedule-Free group become the average `x = y + (1 - 1/beta1)*(z - y)`, in place. The moments do
    /// not change. The device knows the mode: a second call changes nothing, and a step in this mode is skipped, and counted
    /// as such. The mode is a part of the state.
    ///
    /// [`train_mode`](Self::train_mode) subtracts what this method added. Most parameters come back exactly. The others differ by
    /// rounding, by one unit in the last place of the larger of `x` and `y`. The difference does not grow if the mode changes
    /// again and again without a step. For 16-bit parameters without a master copy or a remainder, the unit is that of the
    /// 16-bit format.
    ///
    /// Without a Schedule-Free group, nothing is recorded.
    ///
    /// ```no_run
    /// # fn evaluate(adam: &wgpu_adam::Adam, device: &wgpu::Device, queue: &wgpu::Queue) {
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// adam.eval_mode(&mut encoder);
    /// // The evaluation reads the parameters here.
    /// adam.train_mode(&mut encoder);
    /// queue.submit([encoder.finish()]);
    /// # }
    /// ```
    pub fn eval_mode(&self, encoder: &mut CommandEncoder) {
        self.modes.record_eval(encoder);
    }

    /// Records the change from the parameters for evaluation back to those for training: see
    /// [`eval_mode`](Self::eval_mode).
    ///
    /// It takes back exactly what `eval_mode` added, even if `beta1` has changed since.
    pub fn train_mode(&self, encoder: &mut CommandEncoder) {
        self.modes.record_train(encoder);
    }

    /// Returns the groups: their current configurations, schedules and tensors.
    pub fn groups(&self) -> &[Group] {
        &self.registry.groups
    }

    /// Returns the options of the optimizer.
    pub fn options(&self) -> &Options {
        &self.layout.options
    }

    /// Returns the names of all tensors, in the order of the groups and their tensors.
    pub fn tensor_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.layout.names.iter().map(String::as_str)
    }

    /// Returns the number of dispatches of a step.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Reads the report of the last submitted step.
    ///
    /// The copy is submitted now, so that the report is of this moment, even if more steps are submitted before the
    /// future is awaited. The future does not borrow the optimizer.
    ///
    /// On native, each poll of the future polls the device and does not block; any executor works, and so does
    /// `pollster::block_on`. In a browser, the event loop resolves the future.
    ///
    /// # Errors
    /// Returns [`Error::Readback`] or [`Error::Device`] if the device was lost, and [`Error::OutOfMemory`].
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
            Ok(Report::new(&head, &layout.clocks.groups, &clocks, layout.reads_norm(), bad, scale))
        }
    }

    /// Returns the buffer that holds the loss scale. `None` without a [`LossScale`](crate::LossScale).
    ///
    /// After [`share_loss_scale`](Self::share_loss_scale) it is the other optimizer's. The buffer has 16 bytes. The first
    /// four are the scale as an f32. A shader can declare it as `var<uniform> loss_scale: f32`, and must not write it. A
    /// step reads the scale and stores the scale of the next step.
    ///
    /// Its usages are those that something needs: `UNIFORM` your shader, `STORAGE` the step, `COPY_SRC`
    /// [`read_report`](Self::read_report) and [`read_state`](Self::read_state), `COPY_DST`
    /// [`load_state`](Self::load_state).
    ///
    /// The buffer stays the same over [`add`](Self::add), [`remove`](Self::remove), [`reset`](Self::reset) and
    /// [`load_state`](Self::load_state).
    pub fn loss_scale_buffer(&self) -> Option<&Buffer> {
        self.reusable.loss_scale.as_ref()
    }

    /// Returns the bytes of device memory that the optimizer holds, by purpose.
    pub fn memory_use(&self) -> MemoryUse {
        let own_scale = self.loss_scale_buffer().filter(|_| !self.reusable.shares);
        let tick = self.tick.buffers.iter().chain(&self.tick.curves).chain(own_scale);
        let small = self.small + tick.map(Buffer::size).sum::<u64>();
        let mut all = MemoryUse { small, grads: self.given.bytes(), ..MemoryUse::default() };
        for (batch, state) in self.layout.batched().zip(&self.state) {
            for (kind, buffer) in batch[0].storage.state_kinds().zip(state) {
                all.add(kind, buffer.size());
            }
        }
        for (batch, state) in &self.spares {
            let storage = self.layout.regions[self.layout.batches[*batch].start].storage;
            storage.state_kinds().zip(state).for_each(|(kind, buffer)| all.add(kind, buffer.size()));
        }
        all
    }

    /// Creates a CPU optimizer with the same groups and options, at step 0.
    ///
    /// It sums gradient norms in the order of this optimizer. On a CPU adapter it gives the same bits. To continue a
    /// run on the CPU, load the state: `adam.to_cpu()`, then [`load_state`](CpuAdam::load_state) with the result of
    /// [`read_state`](Self::read_state).
    pub fn to_cpu(&self) -> CpuAdam {
        let tensors = |group: &Group| {
            group
                .tensors
                .iter()
                .map(|t| {
                    let tensor = CpuTensor::new(t.name.clone(), t.param.len as usize)
                        .with_dtypes(t.param.dtype, t.grad.dtype())
                        .with_grad_scale(t.grad_scale);
                    CpuTensor { rows: t.rows.as_ref().map(Rows::without_views), ..tensor }
                })
                .collect()
        };
        let groups = self.registry.groups.iter().map(|group| CpuGroup {
            config: group.config.clone(),
            tensors: tensors(group),
            schedule: group.schedule.clone(),
            clip: group.clip,
            precision: group.precision.clone(),
        });
        let clocks = self.registry.clocks.clone();
        CpuAdam::like(&groups.collect::<Vec<_>>(), clocks, self.layout.options.clone(), &self.layout.regions)
    }
}
