//! A device's limits, as far as they matter here.

use wgpu::Device;

/// What one dispatch may bind, and how many workgroups it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that one binding may span.
    pub binding: u64,
    /// What a binding's byte offset must be a multiple of.
    pub align: u64,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u64,
    /// Storage buffers that one dispatch may bind.
    pub storage_buffers: usize,
}

impl Limits {
    /// WebGPU's default ones.
    pub const DEFAULT: Self = Self { binding: 128 << 20, align: 256, workgroups: 65_535, storage_buffers: 8 };

    pub fn of(device: &Device) -> Self {
        let limits = device.limits();
        Self {
            // Elements are counted in u32.
            binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(1 << 32),
            align: limits.min_storage_buffer_offset_alignment.into(),
            workgroups: limits.max_compute_workgroups_per_dimension.into(),
            // Beside them there are two uniforms.
            storage_buffers: limits
                .max_storage_buffers_per_shader_stage
                .min(limits.max_buffers_and_acceleration_structures_per_shader_stage.saturating_sub(2))
                as usize,
        }
    }

    /// A dispatch's dimensions for that many workgroups; the product may be larger, and the kernel returns early there.
    pub fn dimensions(&self, workgroups: u64) -> [u32; 3] {
        let rows = workgroups.div_ceil(self.workgroups).max(1);
        [workgroups.div_ceil(rows) as u32, rows as u32, 1]
    }
}
