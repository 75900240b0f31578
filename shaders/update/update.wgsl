// The step: an element's rule applied in place, with the scalars of `tick`. Twin: src/cpu/update.rs.
// State, all loads and stores and `leave_grad` are in the generated head; the rule is in the file of rules/ that the variant
// has; `piece` and `scalars` in the files that fit the launch.

// The elements of one word that are in the piece. A neighbour in the same word is never written: its own invocation does.
fn apply(s: Scalars, word: u32, own: Piece) {
    if word * LANES >= own.end {
        return;
    }
    let mask = inside(word, own.begin, own.end);
    if s.do_step != 0u {
        let at = word + own.shift;
        // In this order, so that a processor computes roots and quotients while it stores: see benches/NOTES.md.
        let grad_now = load_grad(word);
        let old = load(word, at);
        let g = gradient(s, grad_now, old.param);
        let now = remember(s, old, g);
        store_first(s, at, now, mask);
        let divisor = divisor_of(s, now);
        store_others(s, at, now, mask);
        store_moved(s, word, at, moved(s, old.param, step_of(s, old, now, g, divisor)), mask);
    }
    leave_grad(word, mask);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let own = own_piece(workgroup, workgroups, index);
    let s = scalars(own.group);
    let word = own_word(own, index);
    // Not a loop: that is slower on some drivers.
    apply(s, word, own);
    apply(s, word + LINE, own);
    apply(s, word + 2u * LINE, own);
    apply(s, word + 3u * LINE, own);
}
