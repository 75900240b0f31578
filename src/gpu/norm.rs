//! The dispatches of the norm, and the small buffers that say which tensors it covers.

use std::ops::Range;

use bytemuck::cast_slice;
use wgpu::{Buffer, BufferUsages, Device, Queue};

use crate::error::Error;
use crate::gpu::binding::Binding;
use crate::gpu::buffers::{filled, whole, window};
use crate::gpu::dispatch::{Dispatch, Pipelines};
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::Layout;
use crate::gpu::pipelines::norm_kernel;
use crate::gpu::rows::RowBuffers;
use crate::gpu::uniforms::Uniforms;
use crate::plan::batch::norms;
use crate::plan::clocks::ClockMap;
use crate::plan::limits::Limits;
use crate::plan::units::Units;
use crate::plan::window::Place;
use crate::tick::partial::{Partial, UnitNorm};

/// The regions that the norm covers, in dispatches.
#[derive(Clone)]
pub(crate) struct Norm {
    batches: Vec<Range<usize>>,
    uniforms: Option<Buffer>,
    /// The tiles of each batch that has several spans.
    tables: Vec<Option<Buffer>>,
    /// The partials of each unit, and the norms of the units.
    units: Option<[Buffer; 2]>,
}

/// The uniforms of all dispatches, with the number of workgroups of each. A region of one span that is inactive is empty.
fn uniforms(layout: &Layout, batches: &[Range<usize>], clocks: &ClockMap) -> (Uniforms, Vec<u64>) {
    let mut uniforms = Uniforms::default();
    let workgroups = uniforms.add(batches, |i| {
        let region = &layout.regions[i];
        let tiles = region.partials();
        let mut uniform = layout.uniform(i, tiles as u32);
        if !clocks.is_active(region.norm_spans()[0].clock as usize) {
            uniform.end = 0;
        }
        (uniform, tiles)
    });
    (uniforms, workgroups)
}

/// The partials of each unit, and the norms of the units, which begin with their limits only.
fn unit_buffers(device: &Device, units: &Units) -> Result<[Buffer; 2], Error> {
    let norm = |max_norm: &f32| UnitNorm::new(Partial::ZERO, *max_norm);
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let norms: Vec<UnitNorm> = units.max_norms.iter().map(norm).collect();
    Ok([
        filled(device, "units", BufferUsages::STORAGE, cast_slice(&units.table()))?,
        filled(device, "unit norms", usage, cast_slice(&norms))?,
    ])
}

impl Norm {
    /// Makes the buffers and the dispatches. Both are empty if the options need no norm.
    pub fn new(
        device: &Device,
        limits: &Limits,
        layout: &Layout,
        places: &[Place],
        partials: &Buffer,
        rows: &[Option<RowBuffers>],
        pipelines: &mut Pipelines,
    ) -> Result<(Self, Vec<Dispatch>), Error> {
        if !layout.reads_norm() {
            let none = Self { batches: Vec::new(), uniforms: None, tables: Vec::new(), units: None };
            return Ok((none, Vec::new()));
        }
        let batches = norms(&layout.regions, limits);
        let (uniforms, workgroups) = uniforms(layout, &batches, &layout.clocks);
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let of_regions = filled(device, "norm regions", usage, &uniforms.bytes)?;
        let (mut dispatches, mut tables) = (Vec::new(), Vec::new());
        for (i, (batch, workgroups)) in batches.iter().zip(workgroups).enumerate() {
            let rows = &rows[batch.start];
            let batch = &layout.regions[batch.clone()];
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
            let tiles = batch[0].norm_tiles(&layout.clocks);
            let several = batch[0].rows.is_none() && batch[0].norm_spans().len() > 1;
            let table = several.then(|| filled(device, "norm tiles", usage, cast_slice(&tiles))).transpose()?;
            let mut bindings =
                vec![(Binding::Region, uniforms.of(&of_regions, i)), (Binding::Partials, whole(partials))];
            bindings.extend((0..).zip(batch).map(|(i, region)| (Binding::Grad(i), window(places, &region.grad))));
            bindings.extend(table.as_ref().map(|table| (Binding::Tiles, whole(table))));
            if let (Some(rows), Some(of)) = (rows, &batch[0].rows) {
                bindings.extend(rows.bindings(of, places));
            }
            dispatches.push(Dispatch::new(device, limits, pipelines, norm_kernel(batch), workgroups, bindings));
            tables.push(table);
        }
        let units = layout.units.as_ref().map(|units| unit_buffers(device, units)).transpose()?;
        if let (Some(units), Some([table, norms])) = (&layout.units, &units) {
            let bindings = [(Binding::Partials, partials), (Binding::Units, table), (Binding::UnitNorms, norms)];
            let bindings = bindings.map(|(binding, buffer)| (binding, whole(buffer))).to_vec();
            let workgroups = units.max_norms.len() as u64;
            dispatches.push(Dispatch::new(device, limits, pipelines, Kernel::UnitNorm, workgroups, bindings));
        }
        Ok((Self { batches, uniforms: Some(of_regions), tables, units }, dispatches))
    }

    /// Writes which tensors are active, for steps that are submitted from now on.
    pub fn write(&self, queue: &Queue, layout: &Layout, clocks: &ClockMap) {
        let Some(buffer) = &self.uniforms else { return };
        queue.write_buffer(buffer, 0, &uniforms(layout, &self.batches, clocks).0.bytes);
        for (batch, table) in self.batches.iter().zip(&self.tables) {
            if let Some(table) = table {
                queue.write_buffer(table, 0, cast_slice(&layout.regions[batch.start].norm_tiles(clocks)));
            }
        }
    }

    /// The norms of the units, which `tick` reads.
    pub fn unit_norms(&self) -> Option<Buffer> {
        self.units.as_ref().map(|[_, norms]| norms.clone())
    }

    /// The bytes of its buffers.
    pub fn bytes(&self) -> u64 {
        let units = self.units.iter().flatten();
        self.uniforms.iter().chain(self.tables.iter().flatten()).chain(units).map(Buffer::size).sum()
    }
}
