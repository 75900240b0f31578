//! From a plan to dispatches: the small buffers, the moments, the bind groups.

use std::sync::Arc;

use bytemuck::{bytes_of, cast_slice};
use wgpu::{BindingResource, Buffer, BufferDescriptor, BufferUsages, Device};

use crate::config::dtype::Element;
use crate::config::loss_scale::ScaleBytes;
use crate::config::options::Options;
use crate::config::rule::Memory;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::buffers::{filled, part};
use crate::gpu::codegen::binding_of;
use crate::gpu::compiled::{BundleState, Shared};
use crate::gpu::kernel::{Kernel, UNIFORM_STRIDE};
use crate::gpu::pipelines::{Kept, dispatch, shape, update_kernel};
use crate::gpu::uniforms::Uniforms;
use crate::num::block8::{UNSIGNED, scales};
use crate::num::half::nearest_bf16;
use crate::num::quad::{LANES, WORKGROUP};
use crate::plan::clocks::Roster;
use crate::plan::limits::Limits;
use crate::plan::partition::{Placed, Plan};
use crate::plan::region::{Launch, NORM_PIECE, Segment, Span, UPDATE_PIECE, Window};
use crate::plan::{batch, partition, validate};
use crate::tick::clock::{ClockHead, GroupClock, NONE};
use crate::tick::control::Control;
use crate::tick::phases::{Phase, Phases};
use crate::tick::scalars::Scalars;
use crate::tick::settings::Settings;

/// A launch may bind one buffer twice, but not overlapping windows of it.
fn check_distance(launch: &Launch, names: &[String], limits: &Limits) -> Result<(), Error> {
    let ends = |window: &Window| (window.offset, window.offset + window.bytes);
    let ((param_begin, param_end), (grad_begin, grad_end)) = (ends(&launch.param), ends(&launch.grad));
    if launch.param.buffer != launch.grad.buffer || param_end <= grad_begin || grad_end <= param_begin {
        return Ok(());
    }
    let tensor = names[launch.segments[0].tensor].clone();
    Err(Error::TooClose { tensor, align: limits.align, param_begin, param_end, grad_begin, grad_end })
}

/// Bytes of the small buffers.
struct Sizes {
    settings: u64,
    clock: u64,
    slots: u64,
    partials: u64,
    phases: u64,
    values: u64,
}

/// What is needed while an `Adam` is made.
pub(crate) struct Builder<'a> {
    device: &'a Device,
    limits: Limits,
    roster: Roster,
    shared: Shared,
    buffers: Vec<Buffer>,
    sizes: Sizes,
    partials: u64,
    settings: Vec<Settings>,
    phases: Phases,
}

impl<'a> Builder<'a> {
    /// Checks all that can be checked before anything is made, and plans.
    pub fn checked(device: &'a Device, roster: Roster, options: Options) -> Result<Self, Error> {
        for (i, group) in roster.groups.iter().enumerate() {
            group.validate(i)?;
        }
        options.validate()?;
        let (mut placed, buffers) = validate::place(&roster.groups, &options)?;
        for placed in &mut placed {
            placed.group = roster.clocks.of_tensor[placed.tensor] as u32;
        }
        Self::new(device, roster, options, &placed, buffers)
    }

    /// Plans the launches and checks that the device can run them.
    fn new(
        device: &'a Device,
        roster: Roster,
        options: Options,
        placed: &[Placed],
        buffers: Vec<Buffer>,
    ) -> Result<Self, Error> {
        let limits = Limits::of(device);
        let tensors = || roster.groups.iter().flat_map(|g| &g.tensors);
        let names: Vec<String> = tensors().map(|t| t.name.clone()).collect();
        for placed in placed {
            if let Some(need) = placed.block_too_large(&limits) {
                let (tensor, given) = (names[placed.tensor].clone(), limits.binding);
                return Err(Error::BlockTooLarge { tensor, given, need });
            }
        }
        let Plan { launches, bundles } = partition::plan(placed, options.zero_grad, &limits)?;
        let mut first_partials = Vec::new();
        let mut partials = 0;
        for launch in &launches {
            check_distance(launch, &names, &limits)?;
            first_partials.push(partials as u32);
            if options.reads_norm() {
                partials += batch::norm_workgroups(launch);
            }
        }
        let shared = Shared {
            names,
            lens: tensors().map(|t| t.param.len).collect(),
            launches,
            bundles,
            partials: first_partials,
            clocks: roster.clocks.clone(),
            options,
        };
        let (settings, phases) = roster.scheduled();
        let count = roster.clocks.groups.len() as u64;
        let sizes = Sizes {
            settings: size_of::<Settings>() as u64 * count,
            clock: size_of::<ClockHead>() as u64 + size_of::<GroupClock>() as u64 * count,
            slots: UNIFORM_STRIDE * count,
            partials: 16 * partials.max(1),
            phases: (size_of::<Phase>() * phases.phases.len()) as u64,
            values: 8 * phases.values.len() as u64,
        };
        let builder = Self { device, limits, roster, shared, buffers, sizes, partials, settings, phases };
        builder.check()?;
        Ok(builder)
    }

    fn tick_kernel(&self) -> Kernel {
        Kernel::Tick { scheduled: !self.phases.phases.is_empty(), scaled: self.shared.options.loss_scale.is_some() }
    }

    /// The limits that the plan does not already keep.
    fn check(&self) -> Result<(), Error> {
        let (limits, sizes) = (self.device.limits(), &self.sizes);
        let invocations = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let updates = self.shared.bundled().map(|bundle| update_kernel(bundle, &self.shared.options));
        let storage = updates.chain([self.tick_kernel()]);
        let storage = storage.map(Kernel::storage_buffers).max().unwrap_or(0);
        let Sizes { settings, clock, slots, partials, phases, values } = *sizes;
        let largest = settings.max(clock).max(slots).max(partials).max(phases).max(values);
        for (limit, given, need) in [
            ("max_compute_invocations_per_workgroup", invocations.into(), WORKGROUP),
            (
                "max_storage_buffers_per_shader_stage",
                limits.max_storage_buffers_per_shader_stage.into(),
                storage.into(),
            ),
            ("max_storage_buffer_binding_size", self.limits.binding, largest),
        ] {
            if given < need {
                return Err(Error::Limit { limit, given, need });
            }
        }
        Ok(())
    }

    /// Makes what the device must have, but for what there is already.
    pub fn build(self, kept: Kept) -> Result<Adam, Error> {
        let Kept { mut pipelines, mut loss_scale } = kept;
        let (shared, sizes, options) = (&self.shared, &self.sizes, &self.shared.options);
        let head = ClockHead { bad_partial: NONE, clip_coef: 1.0, ..Default::default() };
        let settings =
            self.filled("settings", BufferUsages::STORAGE | BufferUsages::COPY_DST, cast_slice(&self.settings))?;
        let mut clock = bytes_of(&head).to_vec();
        clock.resize(sizes.clock as usize, 0);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let clock = self.filled("clock", usage, &clock)?;
        let slots =
            self.empty("slots", BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_SRC, sizes.slots);
        let partials = self.empty("partials", BufferUsages::STORAGE, sizes.partials);
        let mut schedules = Vec::new();
        let Phases { phases, values } = &self.phases;
        if !phases.is_empty() {
            schedules.push(self.filled("phases", BufferUsages::STORAGE, cast_slice(phases))?);
            schedules.push(self.filled("schedule tables", BufferUsages::STORAGE, cast_slice(values))?);
        }
        let control = Control::new(options, shared.clocks.groups.len(), self.partials);
        let control = self.filled("control", BufferUsages::UNIFORM, bytes_of(&control))?;
        if let (Some(scale), None) = (options.loss_scale, &loss_scale) {
            let usage = usage | BufferUsages::UNIFORM;
            loss_scale = Some(self.filled("loss scale", usage, bytes_of(&ScaleBytes::from(scale.begin())))?);
        }
        let norms = if options.reads_norm() { batch::norms(&shared.launches, &self.limits) } else { Vec::new() };
        let mut uniforms = Uniforms::default();
        let norm_workgroups = uniforms.add(shared, &norms, |launch| {
            let pieces = batch::norm_workgroups(launch);
            (pieces, pieces)
        });
        let update_workgroups = uniforms.add(shared, &shared.bundles, |launch| {
            let pieces = launch.count_pieces(&launch.update_spans(), UPDATE_PIECE);
            (pieces, batch::update_workgroups(launch))
        });
        let of_launches = self.filled("launches", BufferUsages::UNIFORM, &uniforms.bytes)?;
        let state = shared.bundled().map(|bundle| self.memories(bundle)).collect::<Result<Vec<BundleState>, _>>()?;

        let mut dispatch = |kernel, workgroups, bindings: &[(u32, BindingResource)]| {
            dispatch(self.device, &self.limits, &mut pipelines, kernel, workgroups, bindings)
        };
        let (mut dispatches, mut tables) = (Vec::new(), Vec::new());
        let whole = |window: &Window| part(&self.buffers[window.buffer], window.offset, window.bytes);
        for (i, (bundle, workgroups)) in norms.iter().zip(norm_workgroups).enumerate() {
            let bundle = &shared.launches[bundle.clone()];
            let table = self.table("norm pieces", &bundle[0], &bundle[0].norm_spans(), NORM_PIECE)?;
            let mut bindings = vec![(0, uniforms.of(&of_launches, i)), (3, partials.as_entire_binding())];
            bindings.extend((0..).zip(bundle).map(|(i, launch)| (binding_of(2, i), whole(&launch.grad))));
            bindings.extend(table.as_ref().map(|table| (7, table.as_entire_binding())));
            let kernel = Kernel::Norm(shape(bundle, Launch::norm_spans), bundle[0].kind.grad);
            dispatches.push(dispatch(kernel, workgroups, &bindings));
            tables.extend(table);
        }
        let bindings = [&control, &settings, &partials, &clock, &slots];
        let bindings = bindings.into_iter().chain(&schedules).map(Buffer::as_entire_binding);
        let mut bindings: Vec<_> = (0..).zip(bindings).collect();
        bindings.extend(loss_scale.as_ref().map(|buffer| (7, buffer.as_entire_binding())));
        dispatches.push(dispatch(self.tick_kernel(), 1, &bindings));
        for (i, ((bundle, state), workgroups)) in shared.bundled().zip(&state).zip(update_workgroups).enumerate() {
            let first = &bundle[0];
            let table = self.table("update pieces", first, &first.update_spans(), UPDATE_PIECE)?;
            let mut bindings = vec![(0, uniforms.of(&of_launches, norms.len() + i))];
            for (i, launch) in (0..).zip(bundle) {
                bindings.extend([(binding_of(1, i), whole(&launch.param)), (binding_of(2, i), whole(&launch.grad))]);
            }
            let memories = first.kind.memories().zip(state);
            bindings.extend(memories.map(|(memory, buffer)| (memory.binding(), buffer.as_entire_binding())));
            match &table {
                Some(table) => bindings.extend([(5, slots.as_entire_binding()), (7, table.as_entire_binding())]),
                None => {
                    let at = UNIFORM_STRIDE * u64::from(first.segments[0].group);
                    bindings.push((5, part(&slots, at, size_of::<Scalars>() as u64)));
                }
            }
            dispatches.push(dispatch(update_kernel(bundle, options), workgroups, &bindings));
            tables.extend(table);
        }
        let small = [&control, &settings, &partials, &clock, &slots, &of_launches].into_iter().chain(&schedules);
        let small = small.chain(&tables).chain(&loss_scale).map(Buffer::size).sum();
        let launches = shared.launches.len();
        log::debug!("{} tensors in {launches} launches, {} dispatches a step", shared.names.len(), dispatches.len());
        Ok(Adam {
            device: self.device.clone(),
            dispatches,
            state,
            settings,
            clock,
            slots,
            small,
            roster: self.roster,
            kept: Kept { pipelines, loss_scale },
            shared: Arc::new(self.shared),
        })
    }

    /// The pieces, where there are several spans.
    fn table(&self, label: &str, launch: &Launch, spans: &[Span], words: u64) -> Result<Option<Buffer>, Error> {
        let filled = || self.filled(label, BufferUsages::STORAGE, cast_slice(&launch.pieces(spans, words)));
        (spans.len() > 1).then(filled).transpose()
    }

    /// What is remembered of the bundle's tensors. wgpu's buffers begin as zeros; some second moments begin with something else.
    fn memories(&self, bundle: &[Launch]) -> Result<BundleState, Error> {
        let kind = bundle[0].kind;
        let elements = LANES * bundle.iter().map(|launch| u64::from(launch.state_words())).sum::<u64>();
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let initial = |segment: &Segment| self.roster.config(segment.group as usize).variant.initial();
        let memories = kind.memories().map(|memory| {
            let element = kind.element(memory);
            let mut segments = bundle.iter().flat_map(|launch| &launch.segments);
            if memory != Memory::V || segments.all(|segment| initial(segment) == 0.0) {
                let scales = bundle.iter().map(|launch| memory.scale().map_or(0, |_| u64::from(launch.scales())));
                return Ok(self.empty(memory.name(), usage, elements * element.bytes() + 4 * scales.sum::<u64>()));
            }
            let mut values = vec![0.0; elements as usize];
            for (segment, span) in bundle.iter().flat_map(Launch::spans_of_segments) {
                values[span.of_state()].fill(initial(segment));
            }
            if element == Element::Bf16 {
                let halves: Vec<u16> = values.iter().map(|x| (nearest_bf16(*x).to_bits() >> 16) as u16).collect();
                return self.filled(memory.name(), usage, cast_slice(&halves));
            }
            if element == Element::U8 {
                let mut bytes = UNSIGNED.codes(&values);
                bytes.extend(scales(&values).flat_map(f32::to_le_bytes));
                return self.filled(memory.name(), usage, &bytes);
            }
            self.filled(memory.name(), usage, cast_slice(&values))
        });
        memories.collect()
    }

    fn empty(&self, label: &str, usage: BufferUsages, size: u64) -> Buffer {
        let label = format!("wgpu-adam {label}");
        let descriptor = BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    fn filled(&self, label: &str, usage: BufferUsages, contents: &[u8]) -> Result<Buffer, Error> {
        filled(self.device, label, usage, contents)
    }
}
