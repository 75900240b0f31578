// The step where the state is in blocks of 8 bits: a block's new scale is known when all its elements are. As update.wgsl, but
// between rule and store the workgroup finds the largest magnitudes. A piece is a block. `note`,
// `store_memories`, `store_moved` and `store_scales` are in the generated head. Twin: src/cpu/update.rs and src/blocks.rs.

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
        store_memories(s, at, block, after, mask);
        store_moved(s, word, at, after.param, mask);
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
    let own = own_piece(workgroup, workgroups, index);
    let s = scalars(own.group);
    if index < BLOCKS * MEMORIES {
        atomicStore(&scales[index], 0u);
    }
    workgroupBarrier();
    let block = index / SHARERS;
    let word = own_word(own, index);
    let first = stepped(s, word, own, block);
    let second = stepped(s, word + LINE, own, block);
    let third = stepped(s, word + 2u * LINE, own, block);
    let fourth = stepped(s, word + 3u * LINE, own, block);
    workgroupBarrier();
    settle(s, word, own, block, first);
    settle(s, word + LINE, own, block, second);
    settle(s, word + 2u * LINE, own, block, third);
    settle(s, word + 3u * LINE, own, block, fourth);
}
