// The scalars if the region has one clock. `many_clocks.wgsl` is for several.

@group(0) @binding(scalars_binding) var<uniform> scalar_slot: Scalars;

fn scalars(clock: u32) -> Scalars {
    return scalar_slot;
}
