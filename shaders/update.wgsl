// The step: Adam (Kingma & Ba 2015, Algorithm 1, lines 7 to 12) in place, with the scalars of `tick`.
// Twin: src/cpu/update.rs. CLIP_VALUE, SQUARABLE and SHIFTED are in the generated head; `piece`, `scalars`,
// `store` and `leave_grad` in the files that fit the launch.

@group(0) @binding(1) var<storage, read_write> param: array<Word>;
@group(0) @binding(3) var<storage, read_write> m: array<Word>;
@group(0) @binding(4) var<storage, read_write> v: array<Word>;

struct Moved {
    param: Word,
    m: Word,
    v: Word,
}

// An exponential average one step closer to `x`: beta*old + (1 - beta)*x. The rate is 1 - beta and counts from `old`, or
// -beta and counts from `x` (beta below a half): both are one rounding away from exact, and 1 - beta is not made from a
// rounded beta. The choice is made at run time for another reason too: of a plain `old + rate*(x - old)` some
// compilers make `old*(1 - rate) + x*rate`, which is the rounded beta again.
fn average(old: Word, x: Word, rate: f32, from_target: u32) -> Word {
    return select(old, x, from_target != 0u) + rate * (x - old);
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

fn adam(s: Scalars, param: Word, grad: Word, old_m: Word, old_v: Word) -> Moved {
    var g = grad;
    if CLIP_VALUE {
        g = clipped(g, s.limit);
    }
    g = s.scale * g + s.l2 * param;
    if SQUARABLE {
        g = squarable(g);
    }
    let m = average(old_m, g, s.m_rate, s.m_from_target);
    let v = average(old_v, g * g, s.v_rate, s.v_from_target);
    let step = (s.m_coef * m) / (sqrt(v) * s.v_coef + s.eps);
    // Summed before they touch param, so that there is one rounding at param's magnitude.
    return Moved(param - (s.decay * param + step), m, v);
}

// The elements of one word that are in begin..end. A neighbour in the same word is never written: its own workgroup does.
fn apply(s: Scalars, word: u32, begin: u32, end: u32) {
    if word * LANES >= end {
        return;
    }
    var g = word;
    if SHIFTED {
        g += launch.grad_shift;
    }
    let grad_now = grad[g];
    let mask = inside(word, begin, end);
    if s.do_step != 0u {
        store(word, adam(s, param[word], grad_now, m[word], v[word]), mask);
    }
    leave_grad(g, mask);
}

@compute @workgroup_size(WORKGROUP)
fn update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let own = piece(number(workgroup, workgroups), 2u * WORKGROUP, launch.update_pieces);
    let s = scalars(own.group);
    apply(s, own.word + index, own.begin, own.end);
    apply(s, own.word + index + WORKGROUP, own.begin, own.end);
}
