//! The dispatches that change the params of a batch.

use wgpu::{Buffer, Device};

use crate::gpu::binding::Binding;
use crate::gpu::buffers::{clock_binding, window};
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{BatchState, Dispatch, Layout};
use crate::gpu::pipelines::{Pipelines, dispatch, update_kernel};
use crate::gpu::rows::RowBuffers;
use crate::gpu::uniforms::Uniforms;
use crate::plan::batch::update_workgroups;
use crate::plan::limits::Limits;

/// What all batches bind.
pub(crate) struct Shared<'a> {
    pub device: &'a Device,
    pub limits: &'a Limits,
    pub layout: &'a Layout,
    /// The caller's buffers.
    pub buffers: &'a [Buffer],
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
        let Self { device, limits, layout, buffers, regions: (uniforms, regions), scalar_slots, rows } = *self;
        let range = layout.batches[batch].clone();
        let (rows, batch_regions) = (&rows[range.start], &layout.regions[range]);
        let first = &batch_regions[0];
        let mut bindings = vec![(Binding::Region, uniforms.of(regions, batch))];
        for (i, region) in (0..).zip(batch_regions) {
            bindings.push((Binding::Param(i), window(buffers, &region.param)));
            bindings.push((Binding::Grad(i), window(buffers, &region.grad)));
        }
        let state = first.storage.state_kinds().zip(state);
        bindings.extend(state.map(|(kind, buffer)| (Binding::State(kind), buffer.as_entire_binding())));
        match table {
            Some(table) => {
                bindings.push((Binding::Scalars, scalar_slots.as_entire_binding()));
                bindings.push((Binding::Tiles, table.as_entire_binding()));
            }
            None => bindings.push((Binding::Scalars, clock_binding(scalar_slots, first.segments[0].clock))),
        }
        if let (Some(rows), Some(of)) = (rows, &first.rows) {
            bindings.extend(rows.bindings(of, buffers));
        }
        let workgroups = batch_regions.iter().map(update_workgroups).sum();
        let mut update = dispatch(device, limits, pipelines, kernel, workgroups, &bindings);
        if let Some(rows) = rows {
            update.workgroups = rows.workgroups(update.workgroups);
        }
        update
    }
}
