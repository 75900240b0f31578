// Adds up the records of `insight`: one workgroup for each segment. Twin: src/cpu/insight.rs.

// The records of one segment. `RecordRange` in src/report/records.rs.
struct RecordRange {
    first: u32,
    end: u32,
    clock: u32,
}

// The sum of the records, which the host reads back. `Finding` in src/report/records.rs.
struct Finding {
    measured: Measured,
    bins: array<u32, BINS>,
    did_step: u32,      // 0 if the step was skipped
    t: u32,             // steps applied
    lr: f32,            // the learning rate of the step
    unscale: f32,       // 1 / loss scale
}

@group(0) @binding(ranges_binding) var<storage, read> ranges: array<RecordRange>;
@group(0) @binding(records_binding) var<storage, read> records: array<Record>;
@group(0) @binding(findings_binding) var<storage, read_write> findings: array<Finding>;

@compute @workgroup_size(WORKGROUP)
fn insight_finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    var range = RecordRange(0u, 0u, 0u);
    if at < arrayLength(&ranges) {
        range = ranges[at];
    }
    empty_bins(index);
    var mine = NOTHING;
    for (var i = range.first + index; i < range.end; i += WORKGROUP) {
        mine = add(mine, records[i].measured);
        for (var k = 0u; k < BINS; k++) {
            atomicAdd(&bins[k], records[i].bins[k]);
        }
    }
    reduce(index, mine);
    if at < arrayLength(&ranges) {
        if index < BINS {
            findings[at].bins[index] = atomicLoad(&bins[index]);
        }
        if index == 0u {
            let s = scalars(range.clock);
            findings[at].measured = tree[0];
            findings[at].did_step = s.do_step;
            findings[at].t = s.t;
            findings[at].lr = s.lr;
            findings[at].unscale = s.unscale;
        }
    }
}
