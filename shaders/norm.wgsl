// Sums of squares of the gradients and the first bad one, a partial a workgroup. Twin: src/cpu/norm.rs.
// Finite is an integer test on the magnitude's bits: `x != x` is optimised away by some drivers.

@group(0) @binding(3) var<storage, read_write> partials: array<Partial>;

// The gradients of one word, zero where it has none.
fn gradients(own: Piece, word: u32) -> Word {
    if word * LANES >= own.end {
        return Word(0.0);
    }
    let g = load_grad(word);
    if EDGES {
        return select(Word(0.0), g, inside(word, own.begin, own.end));
    }
    return g;
}

fn magnitude(g: Word) -> Bits {
    return bitcast<Bits>(g) & Bits(0x7fffffffu);
}

// In this order. (A compiler may turn it round: a balanced tree of products was seen to be, this chain not.)
fn squares(a: Word, b: Word, c: Word, d: Word, e: Word, f: Word, g: Word, h: Word) -> Word {
    var sum = a * a;
    sum += b * b;
    sum += c * c;
    sum += d * d;
    sum += e * e;
    sum += f * f;
    sum += g * g;
    sum += h * h;
    return sum;
}

fn bad_element(word: u32, g: Word) -> u32 {
    let lane = first_lane(magnitude(g) >= Bits(launch.bad_bits));
    return select(NONE, word * LANES + lane, lane < LANES);
}

@compute @workgroup_size(WORKGROUP)
fn norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let at = number(workgroup, workgroups);
    let own = piece(at, 8u * WORKGROUP, launch.norm_pieces);
    let word = own.word + index;
    let a = gradients(own, word);
    let b = gradients(own, word + WORKGROUP);
    let c = gradients(own, word + 2u * WORKGROUP);
    let d = gradients(own, word + 3u * WORKGROUP);
    let e = gradients(own, word + 4u * WORKGROUP);
    let f = gradients(own, word + 5u * WORKGROUP);
    let g = gradients(own, word + 6u * WORKGROUP);
    let h = gradients(own, word + 7u * WORKGROUP);
    let small = squares(UP * a, UP * b, UP * c, UP * d, UP * e, UP * f, UP * g, UP * h);
    let middle = squares(a, b, c, d, e, f, g, h);
    let big = squares(DOWN * a, DOWN * b, DOWN * c, DOWN * d, DOWN * e, DOWN * f, DOWN * g, DOWN * h);
    let worst = max(
        max(max(magnitude(a), magnitude(b)), max(magnitude(c), magnitude(d))),
        max(max(magnitude(e), magnitude(f)), max(magnitude(g), magnitude(h))),
    );
    var first_bad = NONE;
    if largest(worst) >= launch.bad_bits {
        for (var k = 0u; k < 8u; k++) {
            first_bad = min(first_bad, bad_element(word + k * WORKGROUP, gradients(own, word + k * WORKGROUP)));
        }
    }
    reduce(index, Partial(sum(small), sum(middle), sum(big), first_bad));
    if index == 0u && at < launch.norm_pieces {
        partials[launch.partial + at] = tree[0];
    }
}
