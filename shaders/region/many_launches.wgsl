// The launch of a workgroup, where a dispatch has several: LAUNCHES. `one_launch.wgsl` is for one. Twin: src/bundle.rs.

@group(0) @binding(0) var<uniform> launches: array<Launch, LAUNCHES>;

var<private> which: u32;
var<private> launch: Launch;

// Sets the two, and gives the workgroup's number in its launch.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    let number = workgroup.y * workgroups.x + workgroup.x;
    for (var i = 1u; i < LAUNCHES; i++) {
        which += select(0u, 1u, number >= launches[i].workgroup);
    }
    launch = launches[which];
    return number - launch.workgroup;
}
