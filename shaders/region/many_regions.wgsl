// The region of a workgroup if a dispatch has several. `one_region.wgsl` is for one. Twin: src/plan/batch.rs.

@group(0) @binding(region_binding) var<uniform> regions: array<Region, REGIONS>;

var<private> which: u32;
var<private> region: Region;

// Finds the workgroup's region, and returns the number of the workgroup in that region.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    let number = workgroup.y * workgroups.x + workgroup.x;
    for (var i = 1u; i < REGIONS; i++) {
        which += select(0u, 1u, number >= regions[i].workgroup);
    }
    region = regions[which];
    return number - region.workgroup;
}
