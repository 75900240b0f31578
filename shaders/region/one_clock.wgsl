// The scalars where the region is of one clock. `many_clocks.wgsl` is for several.

@group(0) @binding(5) var<uniform> slot: Scalars;

fn scalars(clock: u32) -> Scalars {
    return slot;
}
