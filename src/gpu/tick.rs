//! The dispatch of `tick`, which alone reads the schedules: what it binds, and how it is remade with other schedules.

use bytemuck::cast_slice;
use wgpu::{Buffer, BufferUsages, Device};

use crate::error::Error;
use crate::gpu::binding::Binding;
use crate::gpu::buffers::{filled, whole};
use crate::gpu::dispatch::Dispatch;
use crate::gpu::kernel::Kernel;
use crate::gpu::pipelines::Reusable;
use crate::plan::limits::Limits;
use crate::tick::curves::Curve;

const BUFFERS: [Binding; 5] =
    [Binding::Control, Binding::Settings, Binding::Partials, Binding::Clock, Binding::Scalars];

/// The buffers that `tick` binds, but for the loss scale.
#[derive(Clone)]
pub(crate) struct Tick {
    /// In the order of [`BUFFERS`].
    pub buffers: [Buffer; 5],
    /// The schedules. None if all learning rates are constant.
    pub curves: Option<Buffer>,
    /// The norms of units, if there are any.
    pub unit_norms: Option<Buffer>,
}

impl Tick {
    /// The buffer of the schedules.
    pub fn curves(device: &Device, curves: &[Curve]) -> Result<Option<Buffer>, Error> {
        if curves.is_empty() {
            return Ok(None);
        }
        filled(device, "schedules", BufferUsages::STORAGE, cast_slice(curves)).map(Some)
    }

    /// The dispatch of a kernel with those of the buffers that it binds.
    pub fn dispatch(&self, device: &Device, limits: &Limits, kernel: Kernel, reusable: &mut Reusable) -> Dispatch {
        let buffers = BUFFERS.into_iter().zip(&self.buffers);
        let buffers = buffers.chain(self.curves.as_ref().map(|buffer| (Binding::Curves, buffer)));
        let buffers = buffers.chain(reusable.loss_scale.as_ref().map(|buffer| (Binding::LossScale, buffer)));
        let buffers = buffers.chain(self.unit_norms.as_ref().map(|buffer| (Binding::UnitNorms, buffer)));
        let bindings: Vec<_> = buffers.map(|(binding, buffer)| (binding, whole(buffer))).collect();
        Dispatch::new(device, limits, &mut reusable.pipelines, kernel, 1, bindings)
    }
}
