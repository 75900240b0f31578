// The scalars if the region has several spans, each with its own clock. `one_clock.wgsl` is for a single span.

@group(0) @binding(scalars_binding) var<storage, read> scalar_slots: array<ScalarSlot>;

fn scalars(clock: u32) -> Scalars {
    return scalar_slots[clock].scalars;
}
