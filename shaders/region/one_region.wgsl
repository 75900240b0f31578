// The region, where a dispatch has one. `many_regions.wgsl` is for several.

@group(0) @binding(0) var<uniform> region: Region;

fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
