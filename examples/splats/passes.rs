//! The kernels of a step: rows to splats, tiles, image, gradient.

use super::fit::Buffers;
use crate::kernel::{Binding, Binding::*, Kernel};
use wgpu::{ComputePass, Device};

/// The pixels of a tile, in x and y.
const TILE: [u32; 2] = [16, 8];

/// Returns the number of tiles in x and y.
pub fn tiles(size: [u32; 2]) -> [u32; 2] {
    [size[0].div_ceil(TILE[0]), size[1].div_ceil(TILE[1])]
}

pub struct Passes {
    render: [Kernel; 3],
    gradient: Kernel,
    score: Kernel,
}

impl Passes {
    pub fn new(device: &Device, buffers: &Buffers, size: [u32; 2], capacity: usize) -> Self {
        let kernel = |name: &str, wgsl: &str, bindings: &[Binding], workgroups| {
            let wgsl = [include_str!("splat.wgsl"), wgsl].concat();
            let numbers = [("capacity", capacity as f64), ("width", size[0].into()), ("height", size[1].into())];
            Kernel::new(device, name, &wgsl, &numbers, bindings, workgroups)
        };
        let b = buffers;
        let rows = [(capacity as u32).div_ceil(64), 1, 1];
        let tiles = tiles(size);
        Self {
            render: [
                kernel(
                    "project",
                    include_str!("project.wgsl"),
                    &[
                        Read(&b.live),
                        Read(&b.param),
                        Write(&b.splats),
                        Write(&b.areas),
                        Write(&b.marks),
                        Write(&b.active),
                    ],
                    rows,
                ),
                kernel(
                    "list",
                    include_str!("list.wgsl"),
                    &[Read(&b.live), Write(&b.marks), Write(&b.lists), Write(&b.counts)],
                    [(tiles[0] * tiles[1]).div_ceil(64), 1, 1],
                ),
                kernel(
                    "render",
                    include_str!("render.wgsl"),
                    &[
                        Read(&b.splats),
                        Read(&b.lists),
                        Read(&b.counts),
                        Read(&b.target),
                        Write(&b.image),
                        Write(&b.slope),
                    ],
                    [tiles[0], tiles[1], 1],
                ),
            ],
            gradient: kernel(
                "gradient",
                include_str!("gradient.wgsl"),
                &[Read(&b.live), Read(&b.splats), Read(&b.areas), Read(&b.slope), Write(&b.grad), Write(&b.stress)],
                rows,
            ),
            score: kernel(
                "score",
                include_str!("score.wgsl"),
                &[Read(&b.live), Read(&b.image), Write(&b.score)],
                [1, 1, 1],
            ),
        }
    }

    /// Records the image of the current rows.
    pub fn record_image(&self, pass: &mut ComputePass) {
        self.render.iter().for_each(|kernel| kernel.record(pass, 0));
    }

    /// Records the image and the gradient.
    pub fn record_gradient(&self, pass: &mut ComputePass) {
        self.record_image(pass);
        self.gradient.record(pass, 0);
    }

    /// Records the image and its error.
    pub fn record_score(&self, pass: &mut ComputePass) {
        self.record_image(pass);
        self.score.record(pass, 0);
    }
}
