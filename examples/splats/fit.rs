//! The commands of a fit on the GPU. The caller submits them, and reads what it wants.

use super::{
    optimizer,
    passes::{Passes, tiles},
    setup::Setup,
    splat::COLUMNS,
    surgery::Surgery,
};
use wgpu::{Buffer, BufferUsages, CommandEncoder, ComputePass, Device, util::DeviceExt};
use wgpu_adam::{Adam, Error};

/// The buffers of the kernels. `passes.rs` and the kernels say what they hold.
pub struct Buffers {
    pub live: Buffer,
    pub param: Buffer,
    pub grad: Buffer,
    pub splats: Buffer,
    pub areas: Buffer,
    pub marks: Buffer,
    pub lists: Buffer,
    pub counts: Buffer,
    pub target: Buffer,
    pub image: Buffer,
    pub slope: Buffer,
    pub stress: Buffer,
    pub score: Buffer,
    pub source: Buffer,
    pub origin: Buffer,
    pub moved: Buffer,
    pub active: Buffer,
}

/// The splats, what they are fitted to, and the optimizer.
pub struct Fit {
    pub buffers: Buffers,
    pub passes: Passes,
    surgery: Surgery,
    pub adam: Adam,
}

impl Fit {
    /// `adam` steps the group of [`Buffers::of_optimizer`].
    pub fn new(device: &Device, buffers: Buffers, adam: Adam, setup: &Setup) -> Self {
        let passes = Passes::new(device, &buffers, setup.target.size, setup.capacity);
        let surgery = Surgery::new(device, &buffers, [setup.capacity, setup.most]);
        Self { buffers, passes, surgery, adam }
    }

    /// Records an image, its gradient and a step of the optimizer.
    pub fn record_step(&self, pass: &mut ComputePass) {
        self.passes.record_gradient(pass);
        self.adam.step_in_pass(pass);
    }

    /// Records a round of pruning, cloning and splitting.
    pub fn record_surgery(&mut self, encoder: &mut CommandEncoder) -> Result<(), Error> {
        self.surgery.record(encoder, &self.buffers);
        optimizer::move_state(&mut self.adam, encoder, &self.buffers.source)
    }
}

impl Buffers {
    /// Returns the parameters, the gradients, and which rows are active.
    pub fn of_optimizer(&self) -> [&Buffer; 3] {
        [&self.param, &self.grad, &self.active]
    }

    pub fn new(device: &Device, setup: &Setup) -> Self {
        let pixels = setup.target.pixels.len();
        let tiles = tiles(setup.target.size).iter().product::<u32>() as usize;
        let rows = setup.capacity;
        let all = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let empty = |label, bytes: usize| {
            let size = bytes as u64;
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: all,
                mapped_at_creation: false,
            })
        };
        let upload = |label, contents: &[u8]| {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage: all })
        };
        let wanted: Vec<[f32; 4]> =
            setup.target.pixels.iter().map(|&[red, green, blue]| [red, green, blue, 0.0]).collect();
        let mut param = setup.rows.clone();
        param.resize(rows, [0.0; COLUMNS]);
        Self {
            live: upload("live", bytemuck::bytes_of(&(setup.rows.len() as u32))),
            param: upload("param", bytemuck::cast_slice(&param)),
            grad: empty("grad", 4 * COLUMNS * rows),
            splats: empty("splats", 48 * rows),
            areas: empty("areas", 16 * rows),
            marks: empty("marks", 4 * tiles * rows.div_ceil(32)),
            lists: empty("lists", 4 * tiles * rows),
            counts: empty("counts", 4 * tiles),
            target: upload("target", bytemuck::cast_slice(&wanted)),
            image: empty("image", 16 * pixels),
            slope: empty("slope", 16 * pixels),
            stress: empty("stress", 4 * rows),
            score: empty("score", 8),
            source: empty("source", 4 * rows),
            origin: empty("origin", 4 * rows),
            moved: empty("moved", 4 * COLUMNS * rows),
            active: empty("active", 4 * rows),
        }
    }
}
