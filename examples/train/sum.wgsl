// Sums the `stats` of an epoch. Workgroup 0 sums those of the training rows, workgroup 1 those of the held-out rows,
// which follow. The order of summation is fixed, so the same stats give the same bits.

override train: u32; // number of training rows
override rows: u32; // number of all rows

@group(0) @binding(0) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> totals: array<vec2<f32>, 2>;

const INVOCATIONS = 256u;
var<workgroup> partial: array<vec2<f32>, INVOCATIONS>;

@compute @workgroup_size(INVOCATIONS)
fn sum(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let first = select(0u, train, group.x == 1u);
    let end = select(train, rows, group.x == 1u);
    var mine = vec2<f32>();
    for (var at = first + index; at < end; at += INVOCATIONS) {
        mine += stats[at];
    }
    partial[index] = mine;
    workgroupBarrier();
    for (var half = INVOCATIONS / 2u; half > 0u; half /= 2u) {
        if (index < half) {
            partial[index] += partial[index + half];
        }
        workgroupBarrier();
    }
    if (index == 0u) {
        totals[group.x] = partial[0];
    }
}
