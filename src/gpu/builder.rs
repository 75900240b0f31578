//! Turns a plan into dispatches: makes the small buffers, the state buffers and the bind groups.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::{bytes_of, cast_slice};
use wgpu::{Buffer, BufferUsages, Device, Queue};

use crate::config::loss_scale::ScaleBytes;
use crate::config::options::Options;
use crate::config::variant::Variant;
use crate::error::Error;
use crate::gpu::adam::Adam;
use crate::gpu::buffers::{empty, filled};
use crate::gpu::check::check_limits;
use crate::gpu::dispatch::Dispatch;
use crate::gpu::grad_places::GivenGrads;
use crate::gpu::kernel::{Kernel, Scale, UNIFORM_STRIDE};
use crate::gpu::layout::{BatchState, Layout};
use crate::gpu::modes::Modes;
use crate::gpu::norm::Norm;
use crate::gpu::pipelines::{Reusable, change_param_kernel, norm_kernel, update_kernel};
use crate::gpu::rescale;
use crate::gpu::rows::{RowBuffers, UNIFORM_BYTES};
use crate::gpu::state_buffers::state_buffers;
use crate::gpu::tick::Tick;
use crate::gpu::uniforms::Uniforms;
use crate::gpu::update::Shared;
use crate::plan::clocks::Registry;
use crate::plan::limits::Limits;
use crate::plan::partition::{Plan, TensorPlan};
use crate::plan::region::{Region, Tile, UPDATE_TILE, order_of_partials};
use crate::plan::rescales::Rescales;
use crate::plan::units::Units;
use crate::plan::window::{Place, Window};
use crate::plan::{batch, partition, validate};
use crate::tick::clock::{Clock, ClockHead};
use crate::tick::control::Control;
use crate::tick::curves::Curve;
use crate::tick::settings::{Laws, Settings};

/// Checks that a region does not bind overlapping windows of one buffer. It may bind one buffer twice.
fn check_distance(region: &Region, names: &[String], limits: &Limits) -> Result<(), Error> {
    let ends = |window: &Window| (window.offset, window.offset + window.bytes);
    let (param_begin, param_end) = ends(&region.param);
    let (grad_begin, grad_end) = ends(&region.grad);
    if region.param.buffer != region.grad.buffer || param_end <= grad_begin || grad_end <= param_begin {
        return Ok(());
    }
    let tensor = names[region.segments[0].tensor].clone();
    Err(Error::TooClose { tensor, align: limits.align, param_begin, param_end, grad_begin, grad_end })
}

/// The sizes of the small buffers in bytes.
struct Sizes {
    settings: u64,
    clock: u64,
    scalar_slots: u64,
    partials: u64,
    curves: u64,
    units: u64,
    rescale: u64,
}

/// Builds an `Adam`.
pub(crate) struct Builder<'a> {
    device: &'a Device,
    queue: &'a Queue,
    limits: Limits,
    pub registry: Registry,
    layout: Layout,
    places: Vec<Place>,
    sizes: Sizes,
    partials: u64,
    pub settings: Vec<Settings>,
    curves: Vec<Curve>,
}

impl<'a> Builder<'a> {
    /// Checks everything that can be checked before GPU objects are made, and plans.
    pub fn checked(device: &'a Device, queue: &'a Queue, registry: Registry, options: Options) -> Result<Self, Error> {
        for (i, group) in registry.groups.iter().enumerate() {
            group.validate(i)?;
        }
        options.validate()?;
        let (tensor_plans, places) = validate::place(&registry, &options)?;
        Self::new(device, queue, registry, options, &tensor_plans, places)
    }

    /// Plans the regions and checks that the device can run them.
    fn new(
        device: &'a Device,
        queue: &'a Queue,
        registry: Registry,
        options: Options,
        tensor_plans: &[TensorPlan],
        places: Vec<Place>,
    ) -> Result<Self, Error> {
        let limits = Limits::of(device);
        let tensors = || registry.groups.iter().flat_map(|g| &g.tensors);
        let names: Vec<String> = tensors().map(|t| t.name.clone()).collect();
        for tensor_plan in tensor_plans {
            if let Some(need) = tensor_plan.block_too_large(&limits) {
                let tensor = names[tensor_plan.tensor].clone();
                return Err(Error::BlockTooLarge { tensor, limit: limits.binding_limit, given: limits.binding, need });
            }
        }
        let Plan { regions, batches } = partition::plan(tensor_plans, options.zero_grad, &limits)?;
        for region in &regions {
            check_distance(region, &names, &limits)?;
        }
        let order = order_of_partials(&regions);
        let mut first_partials = vec![0; regions.len()];
        let mut partials = 0;
        for &i in &order {
            first_partials[i] = partials as u32;
            partials += regions[i].partials();
        }
        let units = Units::new(&registry.groups, &registry.clocks, order.iter().map(|&i| &regions[i]));
        let partials = if options.reads_norm() || units.is_some() { partials } else { 0 };
        let rescales = Rescales::new(&regions, registry.clocks.groups.len());
        let layout = Layout {
            rescales,
            names,
            lens: tensors().map(|t| t.param.len).collect(),
            widths: tensors().map(|t| t.rows.as_ref().map(|rows| rows.width)).collect(),
            regions,
            batches,
            partials: first_partials,
            clocks: registry.clocks.clone(),
            units,
            limits: registry.limits(&options),
            options,
        };
        let (mut settings, curves) = registry.scheduled();
        layout.units.iter().for_each(|units| units.assign(&mut settings));
        let count = registry.clocks.groups.len() as u64;
        let sizes = Sizes {
            settings: size_of::<Settings>() as u64 * count,
            clock: size_of::<ClockHead>() as u64 + size_of::<Clock>() as u64 * count,
            scalar_slots: UNIFORM_STRIDE * count,
            partials: 16 * partials.max(1),
            curves: size_of_val(curves.as_slice()) as u64,
            units: layout.units.as_ref().map_or(0, |units| 4 * units.table().len() as u64),
            rescale: (size_of::<Tile>() * layout.rescales.tiles.len()) as u64,
        };
        let builder = Self { device, queue, limits, registry, layout, places, sizes, partials, settings, curves };
        builder.check()?;
        Ok(builder)
    }

    fn tick_kernel(&self, shares: bool) -> Kernel {
        let scale = match self.layout.options.loss_scale {
            None => Scale::None,
            Some(_) if shares => Scale::Shared,
            Some(_) => Scale::Own,
        };
        Kernel::Tick {
            scheduled: !self.curves.is_empty(),
            scale,
            units: self.layout.units.is_some(),
            norm: self.layout.reads_norm(),
            laws: Laws::of(self.registry.groups.iter().map(|group| group.config.variant.rule())),
        }
    }

    /// The batches of the norm kernel.
    fn norms(&self) -> Vec<Range<usize>> {
        let layout = &self.layout;
        if layout.reads_norm() { batch::norms(&layout.regions, &self.limits) } else { Vec::new() }
    }

    /// Checks the limits that the plan does not ensure.
    fn check(&self) -> Result<(), Error> {
        let layout = &self.layout;
        let updates = layout.batched().map(|batch| update_kernel(batch, &layout.options, layout.limits));
        let norms = self.norms();
        let uniform = UNIFORM_STRIDE * (norms.len() + layout.batches.len().max(layout.rescales.regions.len())) as u64;
        let norms = norms.into_iter().map(|batch| norm_kernel(&layout.regions[batch]));
        let Sizes { settings, clock, scalar_slots, partials, curves, units, rescale } = self.sizes;
        let largest = settings.max(clock).max(scalar_slots).max(partials).max(curves).max(units).max(rescale);
        let lists = layout.regions.iter().filter_map(|region| region.rows.as_ref()?.list_count.as_ref());
        let kernels = updates.chain(norms).chain([self.tick_kernel(false)]).chain(lists.map(|_| Kernel::MeasureList));
        let kernels = kernels.chain(rescale::kernels(layout));
        // The plan of the other kernels keeps to this limit.
        let workgroups =
            layout.rescales.workgroups().max(layout.units.as_ref().map_or(0, |units| units.max_norms.len()));
        let (limit, given) = ("max_compute_workgroups_per_dimension", self.limits.workgroups);
        let need = (workgroups as f64).sqrt().ceil() as u64;
        if given < need {
            return Err(Error::Limit { limit, given, need });
        }
        check_limits(self.device, kernels, largest, uniform.max(UNIFORM_BYTES))
    }

    /// Makes the GPU objects, except for those in `reusable`.
    pub fn build(self, mut reusable: Reusable) -> Result<Adam, Error> {
        let layout = &self.layout;
        let sizes = &self.sizes;
        let options = &layout.options;
        let head = ClockHead::at(0, 0, 0);
        let settings =
            self.filled("settings", BufferUsages::STORAGE | BufferUsages::COPY_DST, cast_slice(&self.settings))?;
        let mut clock = bytes_of(&head).to_vec();
        clock.resize(sizes.clock as usize, 0);
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let clock = self.filled("clock", usage, &clock)?;
        let scalar_slots = self.empty(
            "scalar slots",
            BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_SRC,
            sizes.scalar_slots,
        );
        let partials = self.empty("partials", BufferUsages::STORAGE, sizes.partials);
        let control = Control::new(options, layout.clocks.groups.len(), self.partials);
        let control = self.filled("control", BufferUsages::UNIFORM, bytes_of(&control))?;
        if let (Some(scale), None) = (&options.loss_scale, &reusable.loss_scale) {
            let usage = usage | BufferUsages::UNIFORM;
            reusable.loss_scale = Some(self.filled("loss scale", usage, bytes_of(&ScaleBytes::from(scale.begin())))?);
        }
        let rows = layout.regions.iter();
        let rows = rows.map(|region| RowBuffers::new(self.device, region, &self.registry, &self.limits));
        let rows: Vec<Option<RowBuffers>> = rows.collect::<Result<_, _>>()?;
        let (norm, norms) =
            Norm::new(self.device, &self.limits, layout, &self.places, &partials, &rows, &mut reusable.pipelines)?;
        let lists =
            layout.regions.iter().zip(&rows).filter_map(|(region, rows)| region.rows.as_ref().zip(rows.as_ref()));
        let lists = lists.filter_map(|(region, rows)| {
            rows.measure(self.device, &self.limits, region, &self.places, &mut reusable.pipelines)
        });
        let mut dispatches: Vec<Dispatch> = lists.collect();
        dispatches.extend(norms);
        let buffers = [&control, &settings, &partials, &clock, &scalar_slots].map(Buffer::clone);
        let (tick, tick_dispatch) = self.tick(buffers, norm.unit_norms(), &mut reusable)?;
        let mut uniforms = Uniforms::default();
        uniforms.add(&layout.batches, |i| {
            let region = &layout.regions[i];
            let tiles = match &region.rows {
                Some(rows) => rows.update_workgroups(),
                None => region.count_tiles(&region.update_spans(), UPDATE_TILE),
            };
            (layout.uniform(i, tiles as u32), batch::update_workgroups(region))
        });
        let regions = self.filled("regions", BufferUsages::UNIFORM, &uniforms.bytes)?;
        let state = layout
            .batched()
            .map(|batch| state_buffers(self.device, &self.registry, batch))
            .collect::<Result<Vec<BatchState>, _>>()?;

        let mut tables = Vec::new();
        let mut change_params = Vec::new();
        dispatches.push(tick_dispatch);
        let (rescale, rescale_bytes) = rescale::dispatches(
            self.device,
            &self.limits,
            layout,
            &self.places,
            &state,
            &scalar_slots,
            &mut reusable.pipelines,
        )?;
        dispatches.extend(rescale);
        let shared = Shared {
            device: self.device,
            limits: &self.limits,
            layout,
            places: &self.places,
            regions: (&uniforms, &regions),
            scalar_slots: &scalar_slots,
            rows: &rows,
        };
        for (i, (batch, state)) in layout.batched().zip(&state).enumerate() {
            let table = if batch[0].rows.is_some() { None } else { self.table(&batch[0])? };
            dispatches.push(shared.update(i, state, table.as_ref(), &mut reusable.pipelines));
            if let Some(kernel) = change_param_kernel(batch, options) {
                change_params.push(shared.dispatch(kernel, i, state, table.as_ref(), &mut reusable.pipelines));
            }
            tables.extend(table);
        }
        let averages = self.registry.groups.iter().any(|group| group.config.variant == Variant::ScheduleFree);
        let modes = Modes::new(self.device, &self.limits, &tick, averages, change_params, &mut reusable);
        let of_rows = rows.iter().flatten().map(RowBuffers::bytes).sum::<u64>();
        let small =
            tables.iter().chain([&regions]).map(Buffer::size).sum::<u64>() + norm.bytes() + of_rows + rescale_bytes;
        log::debug!(
            "{} tensors in {} regions, {} dispatches a step",
            layout.names.len(),
            layout.regions.len(),
            dispatches.len()
        );
        Ok(Adam {
            device: self.device.clone(),
            queue: self.queue.clone(),
            places: self.places,
            given: GivenGrads::default(),
            dispatches,
            state,
            settings,
            clock,
            scalar_slots,
            norm,
            tick,
            modes,
            rows,
            regions: (uniforms, regions),
            spares: Vec::new(),
            small,
            registry: self.registry,
            reusable,
            layout: Arc::new(self.layout),
        })
    }

    /// The dispatch of `tick` with these buffers. The schedules get new buffers.
    pub fn tick(
        &self,
        buffers: [Buffer; 5],
        unit_norms: Option<Buffer>,
        reusable: &mut Reusable,
    ) -> Result<(Tick, Dispatch), Error> {
        let tick = Tick { buffers, curves: Tick::curves(self.device, &self.curves)?, unit_norms };
        let dispatch = tick.dispatch(self.device, &self.limits, self.tick_kernel(reusable.shares), reusable);
        Ok((tick, dispatch))
    }

    /// The table of tiles, if the region has several spans.
    fn table(&self, region: &Region) -> Result<Option<Buffer>, Error> {
        let spans = region.update_spans();
        let tiles = region.tiles(&spans, UPDATE_TILE);
        (spans.len() > 1).then(|| self.filled("update tiles", BufferUsages::STORAGE, cast_slice(&tiles))).transpose()
    }

    fn empty(&self, label: &str, usage: BufferUsages, size: u64) -> Buffer {
        empty(self.device, label, usage, size)
    }

    fn filled(&self, label: &str, usage: BufferUsages, contents: &[u8]) -> Result<Buffer, Error> {
        filled(self.device, label, usage, contents)
    }
}
