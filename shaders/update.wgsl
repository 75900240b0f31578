// The step: an element's rule applied in place, with the scalars of `tick`. Twin: src/cpu/update.rs.
// CLIP_VALUE and SQUARABLE are in the generated head, with State, all loads and stores and `leave_grad`; `rule` is in the file
// of rules/ that the variant has; `piece` and `scalars` in the files that fit the launch.

// An exponential average one step closer to `x`: beta*old + (1 - beta)*x. The rate is 1 - beta and counts from `old`, or
// -beta and counts from `x` (beta below a half): both are one rounding away from exact, and 1 - beta is not made from a
// rounded beta. The choice is made at run time for another reason too: of a plain `old + rate*(x - old)` some
// compilers make `old*(1 - rate) + x*rate`, which is the rounded beta again.
fn average(old: Word, x: Word, rate: f32, from_target: u32) -> Word {
    return select(old, x, from_target != 0u) + rate * (x - old);
}

// The built-in leaves open what the maximum of a number and a NaN is; here the number stays.
fn larger(old: Word, x: Word) -> Word {
    return select(old, x, x > old);
}

// A finite gradient whose square overflows would leave v infinite and the parameter frozen for good. It counts as the
// largest one whose square is finite; infinities and NaN go through and are seen.
fn squarable(g: Word) -> Word {
    let bits = bitcast<Bits>(g);
    let overflows = ((bits & Bits(0x7fffffffu)) - Bits(0x5f800000u)) < Bits(0x20000000u);
    return select(g, bitcast<Word>((bits & Bits(0x80000000u)) | Bits(0x5f7fffffu)), overflows);
}

fn clipped(g: Word, limit: f32) -> Word {
    let bound = select(Word(limit), Word(-limit), g < Word(0.0));
    return select(g, bound, abs(g) > Word(limit));
}

// What the rule sees as the gradient.
fn gradient(s: Scalars, grad: Word, param: Word) -> Word {
    var g = grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    g = s.scale * g + s.l2 * param;
    if SQUARABLE {
        g = squarable(g);
    }
    return g;
}

// Decay and step are summed before they touch param, so that there is one rounding at param's magnitude.
fn moved(s: Scalars, param: Word, step: Word) -> Word {
    return param - (s.decay * param + step);
}

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
