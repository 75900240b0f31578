//! What each region is told, in the uniforms of a dispatch.

use std::ops::Range;

use bytemuck::bytes_of;
use wgpu::{BindingResource, Buffer};

use crate::gpu::buffers::part;
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::gpu::layout::Layout;
use crate::num::mirror::mirror;
use crate::num::quad::LANES;
use crate::plan::region::Region;
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

/// The uniforms of dispatches of several regions each.
#[derive(Default)]
pub(crate) struct Uniforms {
    pub bytes: Vec<u8>,
    /// Of each dispatch.
    places: Vec<Range<u64>>,
}

impl Uniforms {
    /// Adds those of one dispatch.
    pub fn push(&mut self, regions: impl IntoIterator<Item = RegionUniform>) {
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIFORM_STRIDE as usize), 0);
        let begin = self.bytes.len() as u64;
        regions.into_iter().for_each(|region| self.bytes.extend(bytes_of(&region)));
        self.places.push(begin..self.bytes.len() as u64);
    }

    /// Adds those of batches, a dispatch each, and says how many workgroups each has. `count` says how many tiles a region
    /// has, and how many workgroups.
    pub fn add(
        &mut self,
        layout: &Layout,
        batches: &[Range<usize>],
        count: impl Fn(&Region) -> (u64, u64),
    ) -> Vec<u64> {
        let each = |batch: &Range<usize>| {
            let mut workgroup = 0;
            self.push(batch.clone().map(|i| {
                let (tiles, own) = count(&layout.regions[i]);
                let uniform = layout.uniform(i, tiles as u32, workgroup as u32);
                workgroup += own;
                uniform
            }));
            workgroup
        };
        batches.iter().map(each).collect()
    }

    /// Those of a dispatch in the buffer that has the bytes.
    pub fn of<'a>(&self, buffer: &'a Buffer, dispatch: usize) -> BindingResource<'a> {
        let Range { start, end } = self.places[dispatch];
        part(buffer, start, end - start)
    }
}

impl Layout {
    fn uniform(&self, number: usize, tiles: u32, workgroup: u32) -> RegionUniform {
        let region = &self.regions[number];
        let begin = region.segments.first().map_or(0, |s| s.begin);
        RegionUniform {
            quad: begin / LANES as u32,
            begin,
            end: region.segments.last().map_or(0, |s| s.end),
            grad_shift: region.grad_shift,
            tiles,
            workgroup,
            partial: self.partials[number],
            nonfinite_bits: nonfinite_bits(&self.options),
            grad_scale: region.grad_scale,
            stream_seed: region.stream_seed(number, self.options.precision.seed),
            first_scale: region.first_scale,
            state: region.state,
        }
    }
}

const _: () = assert!(size_of::<RegionUniform>().is_multiple_of(16), "as elements of an array in a uniform must be");
