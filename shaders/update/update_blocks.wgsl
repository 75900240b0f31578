// The step where the state is in blocks of 8 bits: a block's new scale is known when all its elements are. As update.wgsl, but
// between rule and store the workgroup finds the largest magnitudes. A tile is a block. `note`,
// `store_memories`, `store_moved` and `store_scales` are in the generated head. Twin: src/cpu/update.rs and src/blocks.rs.

fn is_stepped(s: Scalars, quad: u32, own: Tile) -> bool {
    return s.do_step != 0u && quad * LANES < own.end;
}

fn stepped(s: Scalars, quad: u32, own: Tile, block: u32) -> State {
    var after: State;
    if is_stepped(s, quad, own) {
        let old = load(quad, quad + own.shift);
        after = rule(s, old, gradient(s, load_grad(quad), old.param));
        note(block, after, inside(quad, own.begin, own.end));
    }
    return after;
}

fn settle(s: Scalars, quad: u32, own: Tile, block: u32, after: State) {
    if quad * LANES >= own.end {
        return;
    }
    let mask = inside(quad, own.begin, own.end);
    if is_stepped(s, quad, own) {
        let at = quad + own.shift;
        store_memories(s, at, block, after, mask);
        store_moved(s, quad, at, after.param, mask);
        if at % BLOCK_QUADS == 0u {
            store_scales(at, block);
        }
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
    if index < BLOCKS * MEMORIES {
        atomicStore(&scales[index], 0u);
    }
    workgroupBarrier();
    let block = index / SHARERS;
    let quad = own_quad(own, index);
    let first = stepped(s, quad, own, block);
    let second = stepped(s, quad + LINE, own, block);
    let third = stepped(s, quad + 2u * LINE, own, block);
    let fourth = stepped(s, quad + 3u * LINE, own, block);
    workgroupBarrier();
    settle(s, quad, own, block, first);
    settle(s, quad + LINE, own, block, second);
    settle(s, quad + 2u * LINE, own, block, third);
    settle(s, quad + 3u * LINE, own, block, fourth);
}
