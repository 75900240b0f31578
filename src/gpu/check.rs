//! The check that a device's limits are enough. The error names the limit; wgpu's own would name an internal object.

use wgpu::Device;

use crate::error::Error;
use crate::gpu::kernel::{Kernel, UNIFORM_STRIDE};
use crate::plan::limits::Limits;

/// Checks that a device can run these kernels, and have a storage buffer and a uniform buffer of these sizes in bytes.
pub(crate) fn check_limits(
    device: &Device,
    kernels: impl Iterator<Item = Kernel>,
    storage: u64,
    uniform: u64,
) -> Result<(), Error> {
    let limits = Limits::of(device);
    let kernels: Vec<Kernel> = kernels.collect();
    let most = |needed: fn(Kernel) -> u64| kernels.iter().map(|kernel| needed(*kernel)).max().unwrap_or(0);
    let has = device.limits();
    // This limit may be too high: uniforms are at multiples of the stride.
    let (limit, given) = ("min_uniform_buffer_offset_alignment", has.min_uniform_buffer_offset_alignment.into());
    if given > UNIFORM_STRIDE {
        return Err(Error::Limit { limit, given, need: UNIFORM_STRIDE });
    }
    for (limit, given, need) in [
        (
            "max_compute_invocations_per_workgroup",
            has.max_compute_invocations_per_workgroup.into(),
            most(Kernel::workgroup),
        ),
        ("max_compute_workgroup_size_x", has.max_compute_workgroup_size_x.into(), most(Kernel::workgroup)),
        (
            "max_compute_workgroup_storage_size",
            has.max_compute_workgroup_storage_size.into(),
            most(Kernel::workgroup_storage),
        ),
        (
            "max_storage_buffers_per_shader_stage",
            has.max_storage_buffers_per_shader_stage.into(),
            most(Kernel::storage_buffers),
        ),
        (
            "max_uniform_buffers_per_shader_stage",
            has.max_uniform_buffers_per_shader_stage.into(),
            most(Kernel::uniform_buffers),
        ),
        (
            "max_buffers_and_acceleration_structures_per_shader_stage",
            has.max_buffers_and_acceleration_structures_per_shader_stage.into(),
            most(|kernel| kernel.bindings().len() as u64),
        ),
        // This limit is for the numbers of the bindings.
        ("max_bindings_per_bind_group", has.max_bindings_per_bind_group.into(), most(Kernel::binding_numbers)),
        ("max_bind_groups", has.max_bind_groups.into(), 1),
        // No uniform is larger.
        ("max_uniform_buffer_binding_size", has.max_uniform_buffer_binding_size, UNIFORM_STRIDE),
        ("max_compute_workgroups_per_dimension", limits.workgroups, 1),
        (limits.binding_limit, limits.binding, storage),
        ("max_buffer_size", has.max_buffer_size, uniform),
    ] {
        if given < need {
            return Err(Error::Limit { limit, given, need });
        }
    }
    Ok(())
}
