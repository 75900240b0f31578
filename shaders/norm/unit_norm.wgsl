// Adds up the partials of each unit: the tensors whose gradients are clipped by a norm of their own. One workgroup for each
// unit. Twin: src/cpu/unit_norm.rs.

@group(0) @binding(partials_binding) var<storage, read> partials: array<Partial>;
@group(0) @binding(unit_norms_binding) var<storage, read_write> unit_norms: array<UnitNorm>;

// units[u]..units[u + 1] are the places in this list that have the numbers of the partials of unit u.
@group(0) @binding(units_binding) var<storage, read> units: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn unit_norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let unit = workgroup.y * workgroups.x + workgroup.x;
    // The dispatch may be larger than the list. A workgroup beyond it has no partials.
    let exists = unit < arrayLength(&unit_norms);
    var mine = Partial(0.0, 0.0, 0.0, NONE);
    if exists {
        for (var i = units[unit] + index; i < units[unit + 1u]; i += WORKGROUP) {
            mine = add(mine, partials[units[i]]);
        }
    }
    let total = reduce(index, mine);
    if exists && index == 0u {
        unit_norms[unit].small = total.small;
        unit_norms[unit].middle = total.middle;
        unit_norms[unit].big = total.big;
        unit_norms[unit].first_nonfinite = total.first_nonfinite;
    }
}
