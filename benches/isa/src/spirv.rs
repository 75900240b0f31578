//! Translates a module as wgpu does for a Vulkan device with default features.

use naga::back::spv::{
    BindingInfo, Capability, Options, PipelineOptions, WriterFlags, ZeroInitializeWorkgroupMemoryMode,
};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ResourceBinding, ShaderStage};

/// A compute kernel in SPIR-V, with its entry point, and for each binding whether it is a uniform.
pub struct Kernel {
    pub words: Vec<u32>,
    pub entry_point: String,
    pub uniforms: Vec<bool>,
}

/// The options are those of `wgpu-hal` 30 (`vulkan/adapter.rs`) on a device with `robustBufferAccess2`, which RADV has: then it
/// leaves the bounds of buffers to the hardware. `Kernel::build` of the crate switches the zeroing of workgroup memory off.
pub fn translate(wgsl: &str) -> Kernel {
    let module = naga::front::wgsl::parse_str(wgsl).expect("a snapshot is valid");
    let info =
        Validator::new(ValidationFlags::all(), Capabilities::default()).validate(&module).expect("a snapshot is valid");
    let mut resources: Vec<(ResourceBinding, bool)> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| Some((variable.binding?, variable.space == AddressSpace::Uniform)))
        .collect();
    resources.sort();
    let bindings = (0..).zip(&resources);
    let binding_map =
        bindings.map(|(binding, (at, _))| (*at, BindingInfo { descriptor_set: 0, binding, binding_array_size: None }));
    let capabilities = [
        Capability::Shader,
        Capability::Matrix,
        Capability::Sampled1D,
        Capability::Image1D,
        Capability::ImageQuery,
        Capability::DerivativeControl,
        Capability::StorageImageExtendedFormats,
    ];
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = Options {
        lang_version: (1, 6),
        flags: WriterFlags::LABEL_VARYINGS | WriterFlags::FORCE_POINT_SIZE,
        capabilities: Some(capabilities.into_iter().collect()),
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: true,
        emit_int_div_checks: true,
        binding_map: binding_map.collect(),
        ..Options::default()
    };
    let entry_point = module.entry_points[0].name.clone();
    let of_pipeline = PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry_point.clone() };
    let words = naga::back::spv::write_vec(&module, &info, &options, Some(&of_pipeline)).expect("naga writes SPIR-V");
    Kernel { words, entry_point, uniforms: resources.into_iter().map(|(_, uniform)| uniform).collect() }
}
