//! The limits of a device that a plan must keep.

use wgpu::Device;

/// What one dispatch may bind, and how many workgroups it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most bytes in a binding.
    pub binding: u64,
    /// The field of [`wgpu::Limits`] that says so.
    pub binding_limit: &'static str,
    /// The offset of a binding must be a multiple of this number of bytes.
    pub align: u64,
    /// The most workgroups in each dimension of a dispatch.
    pub workgroups: u64,
    /// The most storage buffers that one dispatch may bind.
    pub storage_buffers: usize,
}

impl Limits {
    /// The default limits of WebGPU.
    pub const DEFAULT: Self = Self {
        binding: 128 << 20,
        binding_limit: "max_storage_buffer_binding_size",
        align: 256,
        workgroups: 65_535,
        storage_buffers: 8,
    };

    pub fn of(device: &Device) -> Self {
        let limits = device.limits();
        Self {
            // Kernels count elements in u32.
            binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(1 << 32),
            binding_limit: if limits.max_buffer_size < limits.max_storage_buffer_binding_size {
                "max_buffer_size"
            } else {
                "max_storage_buffer_binding_size"
            },
            align: limits.min_storage_buffer_offset_alignment.into(),
            workgroups: limits.max_compute_workgroups_per_dimension.into(),
            // A dispatch also binds two uniform buffers.
            storage_buffers: limits
                .max_storage_buffers_per_shader_stage
                .min(limits.max_buffers_and_acceleration_structures_per_shader_stage.saturating_sub(2))
                as usize,
        }
    }

    /// The dimensions of a dispatch of this many workgroups. Their product may be larger. The surplus workgroups do
    /// nothing.
    pub fn dimensions(&self, workgroups: u64) -> [u32; 3] {
        let rows = workgroups.div_ceil(self.workgroups).max(1);
        [workgroups.div_ceil(rows) as u32, rows as u32, 1]
    }
}
