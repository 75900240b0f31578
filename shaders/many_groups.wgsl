// The scalars where the launch has several spans, each of its group. `one_group.wgsl` is for one.

@group(0) @binding(5) var<storage, read> slots: array<Slot>;

fn scalars(group: u32) -> Scalars {
    return slots[group].scalars;
}
