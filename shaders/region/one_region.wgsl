// The region if a dispatch has only one. `many_regions.wgsl` is for several.

@group(0) @binding(region_binding) var<uniform> region: Region;

// The number of the workgroup in its region.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
