// The scalars if the region has several spans, each with its own clock. `one_clock.wgsl` is for a single span.
//
// Some drivers load a struct for each invocation and field by field, and then each load counts. So a slot is loaded in fours;
// the host writes the function `scalars` from the list of fields.

@group(0) @binding(scalars_binding) var<storage, read> scalar_slots: array<vec4<u32>>;

const SLOT_QUADS: u32 = 16u;
