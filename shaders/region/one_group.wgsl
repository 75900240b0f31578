// The scalars where the launch is of one group. `many_groups.wgsl` is for several.

@group(0) @binding(5) var<uniform> slot: Scalars;

fn scalars(group: u32) -> Scalars {
    return slot;
}
