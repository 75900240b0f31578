//! What each launch is told, in the uniforms of a dispatch.

use std::ops::Range;

use bytemuck::{Pod, Zeroable, bytes_of};
use wgpu::{BindingResource, Buffer};

use crate::gpu::buffers::part;
use crate::gpu::compiled::Shared;
use crate::gpu::kernel::UNIFORM_STRIDE;
use crate::num::quad::LANES;
use crate::plan::region::Launch;
use crate::tick::partial::bad_bits;

/// `Launch` in `launch.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub(crate) struct LaunchUniform {
    pub word: u32,
    pub begin: u32,
    pub end: u32,
    pub grad_shift: u32,
    pub pieces: u32,
    pub workgroup: u32,
    pub partial: u32,
    pub bad_bits: u32,
    pub grad_scale: f32,
    pub salt: u32,
    pub first_scale: u32,
    pub state: u32,
}

/// The uniforms of dispatches of several launches each.
#[derive(Default)]
pub(crate) struct Uniforms {
    pub bytes: Vec<u8>,
    /// Of each dispatch.
    places: Vec<Range<u64>>,
}

impl Uniforms {
    /// Adds those of one dispatch.
    pub fn push(&mut self, launches: impl IntoIterator<Item = LaunchUniform>) {
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIFORM_STRIDE as usize), 0);
        let begin = self.bytes.len() as u64;
        launches.into_iter().for_each(|launch| self.bytes.extend(bytes_of(&launch)));
        self.places.push(begin..self.bytes.len() as u64);
    }

    /// Adds those of bundles, a dispatch each, and says how many workgroups each has. `count` says how many pieces a launch
    /// has, and how many workgroups.
    pub fn add(
        &mut self,
        shared: &Shared,
        bundles: &[Range<usize>],
        count: impl Fn(&Launch) -> (u64, u64),
    ) -> Vec<u64> {
        let each = |bundle: &Range<usize>| {
            let mut workgroup = 0;
            self.push(bundle.clone().map(|i| {
                let (pieces, own) = count(&shared.launches[i]);
                let uniform = shared.uniform(i, pieces as u32, workgroup as u32);
                workgroup += own;
                uniform
            }));
            workgroup
        };
        bundles.iter().map(each).collect()
    }

    /// Those of a dispatch in the buffer that has the bytes.
    pub fn of<'a>(&self, buffer: &'a Buffer, dispatch: usize) -> BindingResource<'a> {
        let Range { start, end } = self.places[dispatch];
        part(buffer, start, end - start)
    }
}

impl Shared {
    fn uniform(&self, number: usize, pieces: u32, workgroup: u32) -> LaunchUniform {
        let launch = &self.launches[number];
        let begin = launch.segments.first().map_or(0, |s| s.begin);
        LaunchUniform {
            word: begin / LANES as u32,
            begin,
            end: launch.segments.last().map_or(0, |s| s.end),
            grad_shift: launch.grad_shift,
            pieces,
            workgroup,
            partial: self.partials[number],
            bad_bits: bad_bits(&self.options),
            grad_scale: launch.grad_scale,
            salt: launch.salt(number, self.options.precision.seed),
            first_scale: launch.first_scale,
            state: launch.state,
        }
    }
}

const _: () = assert!(size_of::<LaunchUniform>().is_multiple_of(16), "as elements of an array in a uniform must be");
