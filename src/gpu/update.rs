//! The dispatches that change the params of a batch.

use wgpu::{Buffer, Device};

use crate::gpu::binding::Binding;
use crate::gpu::buffers::{scalars_of, whole, window};
use crate::gpu::dispatch::{Dispatch, Pipelines};
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{BatchState, Layout};
use crate::gpu::pipelines::update_kernel;
use crate::gpu::rows::RowBuffers;
use crate::gpu::uniforms::Uniforms;
use crate::plan::batch::update_workgroups;
use crate::plan::limits::Limits;
use crate::plan::window::Place;

/// What all batches bind.
pub(crate) struct Shared<'a> {
    pub device: &'a Device,
    pub limits: &'a Limits,
    pub layout: &'a Layout,
    pub places: &'a [Place],
    /// The uniforms of the regions, and the buffer that has them.
    pub regions: (&'a Uniforms, &'a Buffer),
    pub scalar_slots: &'a Buffer,
    /// Of each region.
    pub rows: &'a [Option<RowBuffers>],
}

impl Shared<'_> {
    /// The dispatch that steps a batch.
    pub fn update(
        &self,
        batch: usize,
        state: &BatchState,
        table: Option<&Buffer>,
        pipelines: &mut Pipelines,
    ) -> Dispatch {
        let regions = &self.layout.regions[self.layout.batches[batch].clone()];
        let kernel = update_kernel(regions, &self.layout.options, self.layout.limits);
        self.dispatch(kernel, batch, state, table, pipelines)
    }

    /// The dispatch of a kernel for a batch with this state, and with the table of its tiles if it has several spans.
    pub fn dispatch(
        &self,
        kernel: Kernel,
        batch: usize,
        state: &BatchState,
        table: Option<&Buffer>,
        pipelines: &mut Pipelines,
    ) -> Dispatch {
        let Self { device, limits, layout, places, regions: (uniforms, regions), scalar_slots, rows } = *self;
        let range = layout.batches[batch].clone();
        let (rows, batch_regions) = (&rows[range.start], &layout.regions[range]);
        let first = &batch_regions[0];
        let mut bindings = vec![(Binding::Region, uniforms.of(regions, batch))];
        for (i, region) in (0..).zip(batch_regions) {
            bindings.push((Binding::Param(i), window(places, &region.param)));
            bindings.push((Binding::Grad(i), window(places, &region.grad)));
        }
        let state = first.storage.state_kinds().zip(state);
        bindings.extend(state.map(|(kind, buffer)| (Binding::State(kind), whole(buffer))));
        match table {
            Some(table) => {
                bindings.push((Binding::Scalars, whole(scalar_slots)));
                bindings.push((Binding::Tiles, whole(table)));
            }
            None => bindings.push((Binding::Scalars, scalars_of(scalar_slots, first.segments[0].clock))),
        }
        if let (Some(rows), Some(of)) = (rows, &first.rows) {
            bindings.extend(rows.bindings(of, places));
        }
        let workgroups = batch_regions.iter().map(update_workgroups).sum();
        let mut update = Dispatch::new(device, limits, pipelines, kernel, workgroups, bindings);
        if let Some(rows) = rows {
            update.workgroups = rows.workgroups(update.workgroups);
        }
        update
    }
}
