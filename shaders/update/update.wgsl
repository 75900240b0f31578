// The step: an element's rule applied in place, with the scalars of `tick`. Twin: src/cpu/update.rs.
// State, all loads and stores and `leave_grad` are in the generated head; the rule is in the file of rules/ that the variant
// has; `tile` and `scalars` in the files that fit the region.

// The elements of one quad that are in the tile. A neighbour in the same quad is never written: its own invocation does.
fn apply(s: Scalars, quad: u32, own: Tile) {
    if quad * LANES >= own.end {
        return;
    }
    let mask = inside(quad, own.begin, own.end);
    if s.do_step != 0u {
        let at = quad + own.shift;
        // In this order, so that a processor computes roots and quotients while it stores: see benches/NOTES.md.
        let grad_now = load_grad(quad);
        let old = load(quad, at);
        let g = gradient(s, grad_now, old.param);
        let now = remember(s, old, g);
        store_first(s, at, now, mask);
        let divisor = divisor_of(s, now);
        store_others(s, at, now, mask);
        store_moved(s, quad, at, moved(s, old.param, step_of(s, old, now, g, divisor)), mask);
    }
    leave_grad(quad, mask);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let own = own_tile(workgroup, workgroups, index);
    let s = scalars(own.clock);
    let quad = own_quad(own, index);
    // Not a loop: that is slower on some drivers.
    apply(s, quad, own);
    apply(s, quad + LINE, own);
    apply(s, quad + 2u * LINE, own);
    apply(s, quad + 3u * LINE, own);
}
