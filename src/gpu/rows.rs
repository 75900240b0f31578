//! What the kernels of a region of rows bind beside params, gradients and state. Twin of `rows_uniform.wgsl`.

use bytemuck::{bytes_of, cast_slice};
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, Queue};

use crate::config::hyperparameters::Config;
use crate::config::rows::Rows;
use crate::error::Error;
use crate::gpu::binding::Binding;
use crate::gpu::buffers::{Resource, filled, range, whole, window};
use crate::gpu::dispatch::{Dispatch, Pipelines, Workgroups};
use crate::gpu::kernel::{Kernel, UNIFORM_STRIDE};
use crate::num::fixed::product;
use crate::num::mirror::mirror;
use crate::num::quad::LANES;
use crate::plan::clocks::Registry;
use crate::plan::limits::Limits;
use crate::plan::region::Region;
use crate::plan::rows::{COLUMNS, RowsRegion, joined_width};
use crate::plan::window::Place;
use crate::tick::settings::Settings;

mirror! {
    /// `Rows` in `rows_uniform.wgsl`.
    pub(crate) struct RowsUniform {
        pub first: u32,
        pub count: u32,
        pub width: u32,
        pub quads: u32,
        pub inverse_quads: f32,
        pub update_rows: u32,
        pub norm_rows: u32,
        pub insight_rows: u32,
        pub blocks: u32,
        pub stride: u32,
        pub state_stride: u32,
        pub grad: u32,
        pub grad_rows: u32,
        pub row_lr_at: u32,
        pub active_at: u32,
        pub count_at: u32,
        pub inverse_at: u32,
        pub list_len: u32,
        pub most_workgroups: u32,
        pub joined: u32,
        pub joined_grad: u32,
        pub joined_quads: u32,
        pub inverse_joined: f32,
        pub mean: f32,
        pub corrected: u32,
        pub eps_root: f32,
        pub eps_in_v: u32,
    }
}

mirror! {
    /// `Listed` in `listed.wgsl`.
    pub(crate) struct Listed {
        pub x: u32,
        pub y: u32,
        pub z: u32,
        pub count: u32,
    }
}

/// The powers beta^(2^i).
fn squarings(beta: u64) -> [u64; 32] {
    let mut next = beta;
    std::array::from_fn(|_| {
        let power = next;
        next = product(power, power);
        power
    })
}

/// `RowTables`.
fn tables(rows: &Rows, settings: &Settings) -> Vec<u8> {
    // Those of a row are repeated for the rows that are joined to it.
    let columns: Vec<f32> = (0..COLUMNS).map(|column| rows.column_lr(column % rows.width as usize)).collect();
    let [beta1, beta2] = [settings.beta1, settings.beta2].map(squarings);
    [cast_slice(&columns), cast_slice(&beta1), cast_slice(&beta2)].concat()
}

/// The bytes of `RowTables`.
const TABLES: u64 = 4 * COLUMNS as u64 + 2 * 32 * 8;

/// The bytes of both uniforms of a region of rows.
pub(crate) const UNIFORM_BYTES: u64 = UNIFORM_STRIDE + TABLES;

/// The buffers of a region of rows.
#[derive(Clone)]
pub(crate) struct RowBuffers {
    /// `Rows`, and at the next stride `RowTables`.
    uniforms: Buffer,
    /// Of a list.
    listed: Option<Buffer>,
}

/// The contents of both uniforms.
fn contents(region: &Region, of: &RowsRegion, registry: &Registry, limits: &Limits) -> Vec<u8> {
    let segment = &region.segments[0];
    let config: &Config = registry.config(segment.clock as usize);
    let tensor = registry.groups.iter().flat_map(|group| &group.tensors).nth(segment.tensor);
    let asked = tensor.and_then(|tensor| tensor.rows.clone()).unwrap_or_else(|| Rows::new(of.width));
    let settings = Settings::new(config);
    let units = |elements: u32| if region.unaligned { elements } else { elements / LANES as u32 };
    let by_elements = of.kind.partial && region.storage.by_elements();
    let place = |bound: &Option<(_, u32)>| bound.as_ref().map_or(0, |bound| bound.1);
    let joined_quads = joined_width(of.width) / LANES as u32;
    let uniform = RowsUniform {
        first: of.first,
        count: of.count,
        width: of.width,
        quads: of.quads(),
        inverse_quads: 1.0 / of.quads() as f32,
        update_rows: of.update_rows(),
        norm_rows: of.norm_rows(),
        insight_rows: of.insight_rows(),
        blocks: of.blocks(),
        stride: units(of.width),
        state_stride: if by_elements { of.state_stride } else { of.state_stride / LANES as u32 },
        grad: units(of.grad),
        grad_rows: of.grad_rows,
        row_lr_at: place(&of.row_lr),
        active_at: place(&of.active),
        count_at: place(&of.list_count),
        inverse_at: place(&of.inverse),
        list_len: of.list_len,
        most_workgroups: limits.workgroups as u32,
        joined: of.joined_quads(),
        joined_grad: of.grad / LANES as u32,
        joined_quads,
        inverse_joined: 1.0 / joined_quads as f32,
        mean: asked.mean(),
        corrected: settings.corrected_by_row().into(),
        eps_root: settings.eps_root,
        eps_in_v: settings.eps_in_v,
    };
    let mut bytes = bytes_of(&uniform).to_vec();
    bytes.resize(UNIFORM_STRIDE as usize, 0);
    bytes.extend(tables(&asked, &settings));
    bytes
}

impl RowBuffers {
    /// The buffers of a region, if it is one of rows.
    pub fn new(device: &Device, region: &Region, registry: &Registry, limits: &Limits) -> Result<Option<Self>, Error> {
        let Some(of) = &region.rows else { return Ok(None) };
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let uniforms = filled(device, "rows", usage, &contents(region, of, registry, limits))?;
        let listed = of.list_count.as_ref().map(|_| {
            device.create_buffer(&BufferDescriptor {
                label: Some("wgpu-adam listed rows"),
                size: size_of::<Listed>() as u64,
                usage: BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::INDIRECT,
                mapped_at_creation: false,
            })
        });
        Ok(Some(Self { uniforms, listed }))
    }

    /// Writes the uniforms again: betas and factors of columns may have changed.
    pub fn write(&self, queue: &Queue, region: &Region, registry: &Registry, limits: &Limits) {
        if let Some(of) = &region.rows {
            queue.write_buffer(&self.uniforms, 0, &contents(region, of, registry, limits));
        }
    }

    /// The bytes of its buffers.
    pub fn bytes(&self) -> u64 {
        self.uniforms.size() + self.listed.as_ref().map_or(0, Buffer::size)
    }

    /// The resources that a kernel may bind.
    pub fn bindings(&self, region: &RowsRegion, places: &[Place]) -> Vec<(Binding, Resource)> {
        let rows = range(&self.uniforms, 0, size_of::<RowsUniform>() as u64);
        let mut bindings =
            vec![(Binding::Rows, rows), (Binding::RowTables, range(&self.uniforms, UNIFORM_STRIDE, TABLES))];
        bindings.extend(self.listed.as_ref().map(|listed| (Binding::Listed, whole(listed))));
        let views = [
            (Binding::RowLr, &region.row_lr),
            (Binding::ActiveRows, &region.active),
            (Binding::ListCount, &region.list_count),
            (Binding::Inverse, &region.inverse),
        ];
        let bound = views.into_iter().filter_map(|(binding, bound)| Some((binding, bound.as_ref()?)));
        bindings.extend(bound.map(|(binding, (bound, _))| (binding, window(places, bound))));
        bindings
    }

    /// The dispatch that measures the list, if there is one.
    pub fn measure(
        &self,
        device: &Device,
        limits: &Limits,
        region: &RowsRegion,
        places: &[Place],
        pipelines: &mut Pipelines,
    ) -> Option<Dispatch> {
        self.listed.as_ref()?;
        Some(Dispatch::new(device, limits, pipelines, Kernel::MeasureList, 1, self.bindings(region, places)))
    }

    /// The size of the update's dispatch.
    pub fn workgroups(&self, fixed: Workgroups) -> Workgroups {
        self.listed.clone().map_or(fixed, Workgroups::Indirect)
    }
}

const _: () = assert!(size_of::<RowsUniform>() as u64 <= UNIFORM_STRIDE, "the tables follow");
