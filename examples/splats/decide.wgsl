// Decides what becomes of each row, in one workgroup whose invocations own neighbouring rows each. Its twin is `decide` in
// `refine.rs`.
//
// Rows that are almost transparent or touch no pixel are pruned. Of the others, those with the greatest stress are
// doubled: half of them, or as many as there is room for. A large splat is split in halves, a small one is cloned.
// The rows that stay keep their order, and the new ones are appended.

@group(0) @binding(0) var<storage, read_write> live: u32;
@group(0) @binding(1) var<storage, read> param: array<f32>;
@group(0) @binding(2) var<storage, read> areas: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> stress: array<f32>;
// Where the optimizer's state of each new row comes from: an old row, or FRESH for zeros.
@group(0) @binding(4) var<storage, read_write> source: array<u32>;
// Where its parameters come from: an old row, and above it what to do with them.
@group(0) @binding(5) var<storage, read_write> origin: array<u32>;

const INVOCATIONS = 256u;
var<workgroup> sums: array<u32, INVOCATIONS>;

// Returns the sum of the values of the invocations before this one, and the sum of all.
fn scan(index: u32, value: u32) -> vec2<u32> {
    workgroupBarrier();
    sums[index] = value;
    for (var step = 1u; step < INVOCATIONS; step *= 2u) {
        workgroupBarrier();
        var before = 0u;
        if (index >= step) {
            before = sums[index - step];
        }
        workgroupBarrier();
        sums[index] += before;
    }
    workgroupBarrier();
    return vec2(sums[index] - value, sums[INVOCATIONS - 1u]);
}

fn stays(row: u32) -> bool {
    let area = areas[row];
    return param[at(row, LOGIT)] >= PRUNE_LOGIT && area.x < area.y && area.z < area.w;
}

// Numbers that are not negative have the order of their bits.
fn doubles(row: u32, limit: u32) -> bool {
    return stays(row) && bitcast<u32>(stress[row]) > limit;
}

@compute @workgroup_size(INVOCATIONS)
fn decide(@builtin(local_invocation_index) index: u32) {
    let rows = live;
    let share = (rows + INVOCATIONS - 1u) / INVOCATIONS;
    let first = min(rows, index * share);
    let end = min(rows, first + share);

    var staying = 0u;
    for (var row = first; row < end; row += 1u) {
        staying += u32(stays(row));
    }
    let stay = scan(index, staying);
    let quota = min(stay.y / GROWTH, most - stay.y);

    // The greatest limit, bit by bit, that more rows than the quota reach.
    var limit = 0u;
    for (var bit = 1u << 31u; bit > 0u; bit >>= 1u) {
        var reaching = 0u;
        for (var row = first; row < end; row += 1u) {
            reaching += u32(doubles(row, (limit | bit) - 1u));
        }
        limit |= select(0u, bit, scan(index, reaching).y > quota);
    }
    var doubling = 0u;
    for (var row = first; row < end; row += 1u) {
        doubling += u32(doubles(row, limit));
    }
    let double = scan(index, doubling);

    var kept = stay.x;
    var appended = stay.y + double.x;
    for (var row = first; row < end; row += 1u) {
        if (stays(row)) {
            let splits = max(param[at(row, LOG_STD)], param[at(row, LOG_STD + 1u)]) > SPLIT_LOG_STD;
            let halves = splits && doubles(row, limit);
            source[kept] = select(row, FRESH, halves);
            origin[kept] = row | select(KEEP, HALF, halves);
            kept += 1u;
            if (doubles(row, limit)) {
                source[appended] = FRESH;
                origin[appended] = row | select(COPY, OTHER_HALF, halves);
                appended += 1u;
            }
        }
        stress[row] = 0.0;
    }
    // All invocations have read `live` before the first scan.
    if (index == 0u) {
        live = stay.y + double.y;
    }
}
