//! The dispatches that make the factors of steps: see [`Rescale`](crate::config::rule::Rescale).

use bytemuck::cast_slice;
use wgpu::{Buffer, BufferUsages, Device};

use crate::error::Error;
use crate::gpu::binding::Binding;
use crate::gpu::buffers::{Resource, empty, filled, whole, window};
use crate::gpu::dispatch::{Dispatch, Pipelines};
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{BatchState, Layout};
use crate::gpu::uniforms::{RegionUniform, Uniforms};
use crate::plan::limits::Limits;
use crate::plan::region::Region;
use crate::plan::units::table;
use crate::plan::window::Place;
use crate::report::records::Sums;

/// The kernel that looks at a region.
fn kernel(region: &Region, limits: bool) -> Kernel {
    Kernel::Rescale { storage: region.storage.to_nearest(), unaligned: region.unaligned, limits }
}

/// All kernels, to check the limits of the device.
pub(crate) fn kernels(layout: &Layout) -> impl Iterator<Item = Kernel> {
    let regions = layout.rescales.regions.iter().map(|(i, _)| kernel(&layout.regions[*i], layout.limits));
    regions.chain(layout.rescales.lists.iter().map(|(rescale, _)| Kernel::RescaleFinish { rescale: *rescale }))
}

/// The dispatches between `tick` and the updates, and the bytes of their buffers.
pub(crate) fn dispatches(
    device: &Device,
    limits: &Limits,
    layout: &Layout,
    places: &[Place],
    state: &[BatchState],
    scalar_slots: &Buffer,
    pipelines: &mut Pipelines,
) -> Result<(Vec<Dispatch>, u64), Error> {
    let rescales = &layout.rescales;
    if rescales.regions.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let mut uniforms = Uniforms::default();
    for (i, tiles) in &rescales.regions {
        let region = &layout.regions[*i];
        uniforms.push([RegionUniform {
            grad_shift: region.grad_shift,
            grad_scale: region.grad_scale,
            tiles: tiles.len() as u32,
            partial: tiles.start as u32,
            first_scale: region.first_scale,
            ..RegionUniform::default()
        }]);
    }
    let of_regions = filled(device, "rescale regions", BufferUsages::UNIFORM, &uniforms.bytes)?;
    let tiles = filled(device, "rescale tiles", BufferUsages::STORAGE, cast_slice(&rescales.tiles))?;
    let sums = empty(device, "rescale sums", BufferUsages::STORAGE, (size_of::<Sums>() * rescales.tiles.len()) as u64);
    let mut bytes = of_regions.size() + tiles.size() + sums.size();
    let states: Vec<&BatchState> =
        layout.batches.iter().zip(state).flat_map(|(batch, state)| batch.clone().map(move |_| state)).collect();
    let mut all = Vec::new();
    for (number, (i, of_region)) in rescales.regions.iter().enumerate() {
        let region = &layout.regions[*i];
        let mut bindings: Vec<(Binding, Resource)> = vec![
            (Binding::Region, uniforms.of(&of_regions, number)),
            (Binding::Scalars, whole(scalar_slots)),
            (Binding::Tiles, whole(&tiles)),
            (Binding::Sums, whole(&sums)),
            (Binding::Param(0), window(places, &region.param)),
            (Binding::Grad(0), window(places, &region.grad)),
        ];
        let state = region.storage.state_kinds().zip(states[*i]);
        bindings.extend(state.map(|(kind, buffer)| (Binding::State(kind), whole(buffer))));
        let workgroups = of_region.len() as u64;
        all.push(Dispatch::new(device, limits, pipelines, kernel(region, layout.limits), workgroups, bindings));
    }
    for (rescale, lists) in &rescales.lists {
        let lists_buffer = filled(device, "rescale lists", BufferUsages::STORAGE, cast_slice(&table(lists)))?;
        bytes += lists_buffer.size();
        let bindings = [(Binding::Sums, &sums), (Binding::Units, &lists_buffer), (Binding::Scalars, scalar_slots)];
        let bindings = bindings.map(|(binding, buffer)| (binding, whole(buffer))).to_vec();
        let kernel = Kernel::RescaleFinish { rescale: *rescale };
        all.push(Dispatch::new(device, limits, pipelines, kernel, lists.len() as u64, bindings));
    }
    Ok((all, bytes))
}
