// The step: an element's rule applied in place, with the scalars of `tick`. Twin: src/cpu/update.rs.
// State, all loads and stores and `leave_grad` are in the generated head; `rule` is in the file of rules/ that the variant
// has; `piece` and `scalars` in the files that fit the launch.

// The elements of one word that are in the piece. A neighbour in the same word is never written: its own workgroup does.
fn apply(s: Scalars, word: u32, own: Piece) {
    if word * LANES >= own.end {
        return;
    }
    let mask = inside(word, own.begin, own.end);
    if s.do_step != 0u {
        let at = word + own.shift;
        let old = load(word, at);
        store(s, word, at, rule(s, old, gradient(s, load_grad(word), old.param)), mask);
    }
    leave_grad(word, mask);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let own = piece(number(workgroup, workgroups), 2u * WORKGROUP, launch.update_pieces);
    let s = scalars(own.group);
    apply(s, own.word + index, own);
    apply(s, own.word + index + WORKGROUP, own);
}
