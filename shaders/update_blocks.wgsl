// The step where the state is in blocks of 8 bits: a block's new scale is known when all its elements are. As update.wgsl, but
// between rule and store the workgroup finds the largest magnitudes. A piece begins with a block, so that each block is one
// workgroup's. `note`, `store` and `store_scales`
// are in the generated head. Twin: src/cpu/update.rs and src/blocks.rs.

fn is_stepped(s: Scalars, word: u32, own: Piece) -> bool {
    return s.do_step != 0u && word * LANES < own.end;
}

fn stepped(s: Scalars, word: u32, own: Piece, block: u32) -> State {
    var after: State;
    if is_stepped(s, word, own) {
        let old = load(word, word + own.shift);
        after = rule(s, old, gradient(s, load_grad(word), old.param));
        note(block, after, inside(word, own.begin, own.end));
    }
    return after;
}

fn settle(s: Scalars, word: u32, own: Piece, block: u32, after: State) {
    if word * LANES >= own.end {
        return;
    }
    let mask = inside(word, own.begin, own.end);
    if is_stepped(s, word, own) {
        let at = word + own.shift;
        store(s, word, at, block, after, mask);
        if at % WORDS_A_BLOCK == 0u {
            store_scales(at, block);
        }
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
    if index < BLOCKS * MEMORIES {
        atomicStore(&scales[index], 0u);
    }
    workgroupBarrier();
    let block = index / WORDS_A_BLOCK;
    let first = stepped(s, own.word + index, own, block);
    let second = stepped(s, own.word + index + WORKGROUP, own, block + BLOCKS / 2u);
    workgroupBarrier();
    settle(s, own.word + index, own, block, first);
    settle(s, own.word + index + WORKGROUP, own, block + BLOCKS / 2u, second);
}
