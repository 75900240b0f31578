// The region of a workgroup, where a dispatch has several: REGIONS. `one_region.wgsl` is for one. Twin: src/batch.rs.

@group(0) @binding(0) var<uniform> regions: array<Region, REGIONS>;

var<private> which: u32;
var<private> region: Region;

// Sets the two, and gives the workgroup's number in its region.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    let number = workgroup.y * workgroups.x + workgroup.x;
    for (var i = 1u; i < REGIONS; i++) {
        which += select(0u, 1u, number >= regions[i].workgroup);
    }
    region = regions[which];
    return number - region.workgroup;
}
