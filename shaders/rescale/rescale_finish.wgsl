// Makes the factor of each tensor's step, and multiplies the scalars of its clock: one workgroup for each clock. Twin:
// src/cpu/rescale.rs.

@group(0) @binding(sums_binding) var<storage, read> sums: array<Measured>;
@group(0) @binding(scalars_binding) var<storage, read_write> scalar_slots: array<ScalarSlot>;

const LAMB: u32 = 0u;
const STABLE: u32 = 1u;
const CAUTIOUS: u32 = 2u;

// The beginnings of the lists, and then the lists: entries clocks[c]..clocks[c + 1] are the numbers of the sums of clock c.
@group(0) @binding(units_binding) var<storage, read> clocks: array<u32>;

// The root of above / below. 0 without a sum above or below, or with a non-finite one.
fn root_of_quotient(total: Measured) -> f32 {
    let a = total.above.exponent;
    let b = total.below.exponent;
    if a == 0u || b == 0u || a == 255u || b == 255u {
        return 0.0;
    }
    // Two powers of two, since one may be too large for an f32.
    let exponent = i32(a) - i32(b);
    let half = exponent / 2;
    return sqrt(total.above.sum / total.below.sum) * power_of_two(half) * power_of_two(exponent - half);
}

fn power_of_two(exponent: i32) -> f32 {
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

// The factor of the step. The other files of this folder say what each rule sums.
fn factor(root: f32, lr: f32) -> f32 {
    switch RESCALE {
        // A norm that is zero leaves the step as it is.
        case LAMB: { return select(lr * root, 1.0, root == 0.0); }
        case STABLE: { return 1.0 / max(1.0, root); }
        default: { return 1.0 / max(root * root, 1e-3); }
    }
}

@compute @workgroup_size(WORKGROUP)
fn rescale_finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let c = workgroup.y * workgroups.x + workgroup.x;
    // The dispatch may be larger than the number of clocks, which is one less than where the first list begins.
    let exists = c + 1u < clocks[0];
    var mine = NOTHING;
    if exists {
        for (var i = clocks[c] + index; i < clocks[c + 1u]; i += WORKGROUP) {
            mine = add(mine, sums[clocks[i]]);
        }
    }
    reduce(index, mine);
    if exists && index == 0u && clocks[c] < clocks[c + 1u] {
        let f = factor(root_of_quotient(tree[0]), scalar_slots[c].scalars.lr);
        scalar_slots[c].scalars.m_coef *= f;
        if RESCALE != CAUTIOUS {
            scalar_slots[c].scalars.decay *= f;
        }
    }
}
