//! `Probe`: measures a step on the device, between its decision and its update, when the caller wants to know.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytemuck::{Zeroable, cast_slice, pod_read_unaligned};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePass, ComputePassDescriptor};

use crate::config::hyperparameters::Config;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::binding::Binding;
use crate::gpu::blame::{at_once, awaited};
use crate::gpu::buffers::{Resource, filled, scalars_of, whole, window};
use crate::gpu::check::check_limits;
use crate::gpu::dispatch::Dispatch;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::Layout;
use crate::gpu::readback::{Source, read};
use crate::gpu::uniforms::{RegionUniform, Uniforms};
use crate::plan::limits::Limits;
use crate::plan::region::Region;
use crate::report::insight::Insight;
use crate::report::records::{BINS, Finding, Measured, Record, RecordRange};

/// Measures what a step does to each tensor: signal-to-noise ratio, effective step, update-to-parameter ratio, and zero
/// and non-finite gradients.
///
/// A probe is made for one optimizer. It has its own pipelines and two small buffers, of about 150 bytes for every
/// 8,192 elements and every tensor. An optimizer without a probe has no such cost. A measured step changes the same
/// bits as any other step. It reads parameters, gradients and moments a second time. On Mesa lavapipe, which is bound
/// by arithmetic, a measured step took 4 to 6.5 times as long as a plain one (4 Mi elements).
///
/// A probe must be made again after [`Adam::gather`], [`Adam::rebind`], [`Adam::rebind_all`], [`Adam::add`], [`Adam::add_group`],
/// [`Adam::remove`] and [`Adam::reset`], and after [`Adam::load_state`], [`Adam::set_active`], [`Adam::set_group_active`] and
/// [`Adam::set_config`] if they replaced the buffers.
///
/// ```no_run
/// # async fn train(device: wgpu::Device, queue: wgpu::Queue, adam: wgpu_adam::Adam) -> Result<(), wgpu_adam::Error> {
/// use wgpu_adam::Probe;
/// let probe = Probe::new(&adam)?;
/// for i in 1..=1000 {
///     let mut encoder = device.create_command_encoder(&Default::default());
///     // The backward pass fills the gradients here.
///     if i % 100 == 0 {
///         probe.step(&adam, &mut encoder)?;
///     } else {
///         adam.step(&mut encoder);
///     }
///     queue.submit([encoder.finish()]);
///     if i % 100 == 0 {
///         let insight = probe.read(&adam).await?;
///         if let (Some(snr), Some(step)) = (insight.all.snr, insight.all.step) {
///             println!("step {}: SNR {:.3}, effective step {:.3} lr", insight.t, snr.mean, step.rms);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Probe {
    dispatches: Vec<Dispatch>,
    findings: Buffer,
    layout: Arc<Layout>,
}

/// The scalars that a region's kernel binds: those of its clock if it is of rows, or all.
fn scalars(adam: &Adam, region: &Region) -> Resource {
    match &region.rows {
        Some(_) => scalars_of(&adam.scalar_slots, region.segments[0].clock),
        None => whole(&adam.scalar_slots),
    }
}

const MAKING: &str = "making the probe";

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Probe").field("tensors", &self.layout.names.len()).finish_non_exhaustive()
    }
}

impl Probe {
    /// Creates a probe: its pipelines and its buffers. Submits nothing.
    ///
    /// In a browser, errors of the device are not known when this returns, and reach the device's handler of uncaptured
    /// errors. Use [`new_async`](Self::new_async) there.
    ///
    /// # Errors
    /// Returns [`Error::Limit`] if the device's limits are too low: a probe needs 4 storage buffers per shader stage in
    /// addition to the rule's state (7 at most; rows need up to 3 more), 13,376 bytes of workgroup storage, and bindings as large as its
    /// buffers. Returns [`Error::OutOfMemory`] and [`Error::Device`] as [`Adam::new`] does.
    pub fn new(adam: &Adam) -> Result<Self, Error> {
        at_once(&adam.device, &adam.registry.groups, MAKING, || Self::make(adam))
    }

    /// Creates a probe as [`new`](Self::new) does, and waits for errors of the device, in a browser too.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub async fn new_async(adam: &Adam) -> Result<Self, Error> {
        awaited(&adam.device, &adam.registry.groups, MAKING, || Self::make(adam)).await
    }

    fn make(adam: &Adam) -> Result<Self, Error> {
        let device = &adam.device;
        let layout = &adam.layout;
        let mut records: Vec<Record> = Vec::new();
        let mut runs: Vec<RecordRange> = Vec::new();
        let (mut uniforms, mut workgroups) = (Uniforms::default(), Vec::new());
        for region in &layout.regions {
            let begin = records.len();
            for (segment, span) in region.spans_of_segments() {
                let first = records.len() as u32;
                let tiles = region.insight_tiles(segment, span);
                let record = |tile| Record { tile, measured: Measured::zeroed(), bins: [0; BINS] };
                records.extend(tiles.into_iter().map(record));
                runs.push(RecordRange { first, end: records.len() as u32, clock: segment.clock });
            }
            let tiles = records.len() - begin;
            let uniform = RegionUniform {
                quad: region.rows.as_ref().map_or(0, |_| region.first_place()),
                grad_shift: region.grad_shift,
                grad_scale: region.grad_scale,
                tiles: tiles as u32,
                partial: begin as u32,
                first_scale: region.first_scale,
                ..RegionUniform::default()
            };
            uniforms.push([uniform]);
            workgroups.push(tiles as u64);
        }
        let kernel = |region: &Region| Kernel::Insight {
            storage: region.storage.to_nearest(),
            unaligned: region.unaligned,
            limits: layout.limits,
            rows: region.rows.as_ref().map(|rows| rows.kind),
        };
        let findings = (size_of::<Finding>() * runs.len()) as u64;
        let kernels = layout.regions.iter().map(kernel).chain([Kernel::InsightFinish]);
        check_limits(device, kernels, findings.max(size_of_val(&records[..]) as u64), uniforms.bytes.len() as u64)?;
        let (limit, given) = ("max_compute_workgroups_per_dimension", Limits::of(device).workgroups);
        let need = (runs.len() as f64).sqrt().ceil() as u64;
        if given < need {
            return Err(Error::Limit { limit, given, need });
        }

        let of_regions = filled(device, "insight regions", BufferUsages::UNIFORM, &uniforms.bytes)?;
        let records = filled(device, "insight records", BufferUsages::STORAGE, cast_slice(&records))?;
        let count = runs.len() as u64;
        let runs = filled(device, "insight runs", BufferUsages::STORAGE, cast_slice(&runs))?;
        let findings = device.create_buffer(&BufferDescriptor {
            label: Some("wgpu-adam findings"),
            size: findings,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });

        let (limits, mut pipelines) = (Limits::of(device), HashMap::new());
        let mut dispatch =
            |kernel, workgroups, bindings| Dispatch::new(device, &limits, &mut pipelines, kernel, workgroups, bindings);
        let states =
            layout.batches.iter().zip(&adam.state).flat_map(|(batch, state)| batch.clone().map(move |_| state));
        let regions = layout.regions.iter().zip(states).zip(workgroups).enumerate();
        let mut dispatches: Vec<Dispatch> = Vec::new();
        for (i, ((region, state), workgroups)) in regions {
            let mut bindings = vec![
                (Binding::Region, uniforms.of(&of_regions, i)),
                (Binding::Scalars, scalars(adam, region)),
                (Binding::Records, whole(&records)),
                (Binding::Param(0), window(&adam.places, &region.param)),
                (Binding::Grad(0), window(&adam.places, &region.grad)),
            ];
            let state = region.storage.state_kinds().zip(state);
            bindings.extend(state.map(|(kind, buffer)| (Binding::State(kind), whole(buffer))));
            if let (Some(rows), Some(of)) = (&adam.rows[i], &region.rows) {
                bindings.extend(rows.bindings(of, &adam.places));
            }
            dispatches.push(dispatch(kernel(region), workgroups, bindings));
        }
        let bindings = [
            (Binding::Ranges, &runs),
            (Binding::Records, &records),
            (Binding::Findings, &findings),
            (Binding::Scalars, &adam.scalar_slots),
        ];
        let bindings = bindings.map(|(binding, buffer)| (binding, whole(buffer))).to_vec();
        dispatches.push(dispatch(Kernel::InsightFinish, count, bindings));
        Ok(Self { dispatches, findings, layout: layout.clone() })
    }

    /// Records one measured step into a compute pass of its own at the end of `encoder`, instead of [`Adam::step`].
    ///
    /// The next measured step overwrites the measurements. To keep both, call [`read`](Self::read) between the two
    /// submissions.
    ///
    /// # Errors
    /// Returns [`Error::OtherOptimizer`] if the probe was made for another optimizer, and [`Error::NoGrads`] if gradients are
    /// missing: see [`Adam::set_grads`]. Nothing is recorded then.
    pub fn step(&self, adam: &Adam, encoder: &mut CommandEncoder) -> Result<(), Error> {
        let descriptor = ComputePassDescriptor { label: Some("wgpu-adam measured step"), timestamp_writes: None };
        self.step_in_pass(adam, &mut encoder.begin_compute_pass(&descriptor))
    }

    /// Records one measured step into the caller's compute pass, instead of [`Adam::step_in_pass`]. Changes the pass's
    /// pipeline and bind group 0.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn step_in_pass(&self, adam: &Adam, pass: &mut ComputePass) -> Result<(), Error> {
        if !Arc::ptr_eq(&self.layout, &adam.layout) {
            return Err(Error::OtherOptimizer);
        }
        // One update for each batch is last.
        let updates = adam.dispatches.len() - self.layout.batches.len();
        let (decision, updates) = adam.dispatches.split_at(updates);
        adam.check_given()?;
        decision.iter().for_each(|dispatch| dispatch.record(pass));
        for dispatch in &self.dispatches {
            dispatch.clone().bound(&adam.device, &adam.given.places, adam.given.absent.as_ref()).record(pass);
        }
        updates.iter().for_each(|dispatch| dispatch.record(pass));
        Ok(())
    }

    /// Reads the measurements of the last submitted measured step. They are zeros before the first one.
    ///
    /// The copy is submitted now, as for [`Adam::read_report`], and the future does not borrow the probe or the
    /// optimizer.
    ///
    /// # Errors
    /// Returns [`Error::OtherOptimizer`] as [`step`](Self::step) does, and the errors of [`Adam::read_report`].
    pub fn read(&self, adam: &Adam) -> impl Future<Output = Result<Insight, Error>> + use<> {
        let source = Source { buffer: &self.findings, offset: 0, bytes: self.findings.size() };
        let bytes = read(&adam.device, &adam.queue, "the insight", &[source]);
        let layout = self.layout.clone();
        let own = Arc::ptr_eq(&self.layout, &adam.layout);
        let registry = &adam.registry;
        let configs: Vec<Config> =
            registry.clocks.of_tensor.iter().map(|&clock| registry.config(clock).clone()).collect();
        async move {
            if !own {
                return Err(Error::OtherOptimizer);
            }
            let bytes = bytes.await?;
            let findings = bytes.chunks_exact(size_of::<Finding>()).map(pod_read_unaligned);
            let parts = layout.regions.iter().flat_map(|region| &region.segments).map(|segment| segment.tensor);
            Ok(Insight::new(findings, parts, &layout.names, &configs))
        }
    }
}
