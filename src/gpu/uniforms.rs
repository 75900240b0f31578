//! The uniforms of a dispatch, which describe its regions.

use std::ops::Range;

use bytemuck::bytes_of;
use wgpu::Buffer;

use crate::gpu::buffers::{Resource, range};
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::gpu::layout::Layout;
use crate::num::mirror::mirror;
use crate::tick::partial::nonfinite_bits;

mirror! {
    /// `Region` in `region.wgsl`.
    pub(crate) struct RegionUniform {
        pub quad: u32,
        pub begin: u32,
        pub end: u32,
        pub grad_shift: u32,
        pub tiles: u32,
        pub workgroup: u32,
        pub partial: u32,
        pub nonfinite_bits: u32,
        pub grad_scale: f32,
        pub stream_seed: u32,
        pub first_scale: u32,
        pub state: u32,
    }
}

/// The uniforms of several dispatches, each of one or more regions.
#[derive(Clone, Default)]
pub(crate) struct Uniforms {
    pub bytes: Vec<u8>,
    /// The bytes of each dispatch.
    ranges: Vec<Range<u64>>,
}

impl Uniforms {
    /// Adds the uniforms of one dispatch.
    pub fn push(&mut self, regions: impl IntoIterator<Item = RegionUniform>) {
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIFORM_STRIDE as usize), 0);
        let begin = self.bytes.len() as u64;
        regions.into_iter().for_each(|region| self.bytes.extend(bytes_of(&region)));
        self.ranges.push(begin..self.bytes.len() as u64);
    }

    /// Adds the uniforms of one dispatch for each batch, and returns the number of workgroups of each dispatch. `of`
    /// returns the uniform of a region, and its number of workgroups.
    pub fn add(&mut self, batches: &[Range<usize>], of: impl Fn(usize) -> (RegionUniform, u64)) -> Vec<u64> {
        let add_batch = |batch: &Range<usize>| {
            let mut first_workgroup = 0;
            self.push(batch.clone().map(|i| {
                let (uniform, workgroups) = of(i);
                let uniform = RegionUniform { workgroup: first_workgroup as u32, ..uniform };
                first_workgroup += workgroups;
                uniform
            }));
            first_workgroup
        };
        batches.iter().map(add_batch).collect()
    }

    /// The binding of a dispatch's uniforms, in the buffer that has the bytes.
    pub fn of(&self, buffer: &Buffer, dispatch: usize) -> Resource {
        let Range { start, end } = self.ranges[dispatch];
        range(buffer, start, end - start)
    }
}

impl Layout {
    /// The uniform of a region, as the only one of its dispatch.
    pub fn uniform(&self, number: usize, tiles: u32) -> RegionUniform {
        let region = &self.regions[number];
        let begin = region.segments.first().map_or(0, |s| s.begin);
        RegionUniform {
            quad: region.first_place(),
            begin,
            end: region.segments.last().map_or(0, |s| s.end),
            grad_shift: region.grad_shift,
            tiles,
            workgroup: 0,
            partial: self.partials[number],
            nonfinite_bits: nonfinite_bits(&self.options, self.units.is_some()),
            grad_scale: region.grad_scale,
            stream_seed: match &region.rows {
                // The kernel adds the number of the element.
                Some(_) => region.segments[0].stream_seed,
                None => region.update_spans().first().map_or(0, |span| span.stream_seed),
            },
            first_scale: region.first_scale,
            state: region.state,
        }
    }
}

const _: () = assert!(size_of::<RegionUniform>().is_multiple_of(16), "as elements of an array in a uniform must be");
