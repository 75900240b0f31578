//! The kernels that prune, clone and split. Nothing is read back.

use super::fit::Buffers;
use crate::kernel::{Binding, Binding::*, Kernel};
use wgpu::{CommandEncoder, Device};

/// Number of steps between two rounds.
pub const INTERVAL: u32 = 100;

/// Returns whether a round is due before this step of `steps`. The last quarter is for the splats to settle.
pub fn is_due(step: u32, steps: u32) -> bool {
    step > 0 && step.is_multiple_of(INTERVAL) && step <= steps / 4 * 3
}

pub struct Surgery {
    decide: Kernel,
    move_rows: Kernel,
}

impl Surgery {
    /// Builds kernels for rows that grow to `most`.
    pub fn new(device: &Device, buffers: &Buffers, [capacity, most]: [usize; 2]) -> Self {
        let kernel = |name: &str, wgsl: &str, bindings: &[Binding], workgroups| {
            let wgsl = [include_str!("splat.wgsl"), include_str!("refine.wgsl"), wgsl].concat();
            // Neither kernel asks for the size of the image.
            let numbers = [("capacity", capacity as f64), ("most", most as f64), ("width", 0.0), ("height", 0.0)];
            Kernel::new(device, name, &wgsl, &numbers, bindings, [workgroups, 1, 1])
        };
        let b = buffers;
        Self {
            decide: kernel(
                "decide",
                include_str!("decide.wgsl"),
                &[Write(&b.live), Read(&b.param), Read(&b.areas), Write(&b.stress), Write(&b.source), Write(&b.origin)],
                1,
            ),
            move_rows: kernel(
                "move",
                include_str!("move.wgsl"),
                &[Read(&b.live), Read(&b.origin), Read(&b.param), Write(&b.moved)],
                (capacity as u32).div_ceil(64),
            ),
        }
    }

    /// Records the decision, which leaves `source`, and moves the parameters.
    pub fn record(&self, encoder: &mut CommandEncoder, buffers: &Buffers) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.decide.record(&mut pass, 0);
        self.move_rows.record(&mut pass, 0);
        drop(pass);
        encoder.copy_buffer_to_buffer(&buffers.moved, 0, &buffers.param, 0, buffers.param.size());
    }
}
