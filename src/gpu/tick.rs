//! The dispatch of `tick`, which alone reads the schedules: what it binds, and how it is remade with other schedules.

use bytemuck::cast_slice;
use wgpu::{Buffer, BufferUsages, Device};

use crate::error::Error;
use crate::gpu::binding::Binding;
use crate::gpu::buffers::filled;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::Dispatch;
use crate::gpu::pipelines::{Reusable, dispatch};
use crate::plan::limits::Limits;
use crate::tick::phases::Phases;

const BUFFERS: [Binding; 5] =
    [Binding::Control, Binding::Settings, Binding::Partials, Binding::Clock, Binding::Scalars];
const SCHEDULES: [Binding; 2] = [Binding::Phases, Binding::Values];

/// The buffers that `tick` binds, but for the loss scale.
pub(crate) struct Tick {
    /// In the order of [`BUFFERS`].
    pub buffers: [Buffer; 5],
    /// In the order of [`SCHEDULES`]. Empty if all learning rates are constant.
    pub schedules: Vec<Buffer>,
}

impl Tick {
    /// The buffers of the schedules.
    pub fn schedules(device: &Device, Phases { phases, values }: &Phases) -> Result<Vec<Buffer>, Error> {
        if phases.is_empty() {
            return Ok(Vec::new());
        }
        let filled = |label, contents| filled(device, label, BufferUsages::STORAGE, contents);
        Ok(vec![filled("phases", cast_slice(phases))?, filled("schedule tables", cast_slice(values))?])
    }

    pub fn dispatch(&self, device: &Device, limits: &Limits, kernel: Kernel, reusable: &mut Reusable) -> Dispatch {
        let buffers = BUFFERS.iter().zip(&self.buffers).chain(SCHEDULES.iter().zip(&self.schedules));
        let buffers = buffers.chain(reusable.loss_scale.as_ref().map(|buffer| (&Binding::LossScale, buffer)));
        let bindings: Vec<_> = buffers.map(|(binding, buffer)| (*binding, buffer.as_entire_binding())).collect();
        dispatch(device, limits, &mut reusable.pipelines, kernel, 1, &bindings)
    }
}
